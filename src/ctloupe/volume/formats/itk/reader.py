"""Reading MetaImage (``.mha``, ``.mhd`` + ``.raw``) and NRRD through SimpleITK.

SimpleITK does not mind a missing voxel size (it takes 1 mm), a unit other than millimetre, or a compressed
MetaImage with damaged bytes, so the text header is read here first and compared with the file.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import SimpleITK as sitk

from ctloupe.foundation.errors import FileError, GeometryError, IntensityError
from ctloupe.volume.formats.itk.headers import StoredVoxels, voxels_of
from ctloupe.volume.formats.room import require_room
from ctloupe.volume.geometry import Triple, as_direction
from ctloupe.volume.volume import Modality, Units, Volume, require_finite

MODALITY, UNITS = "ctloupe_modality", "ctloupe_units"
"""Keys of the metadata that files written here carry."""

_CHUNK_BYTES = 1 << 22
# What a byte can become at most: deflate cannot expand more, and text needs a digit for each hexadecimal half.
_MOST_EXPANSION = {"zlib": 1032, "gzip": 1032, "gz": 1032, "hex": 1}


def read_itk(path: Path) -> Volume:
    """Return the volume of a MetaImage or NRRD file, in memory and in millimetres whatever unit the file states.

    The type of the voxels is kept, except that float64 becomes float32. Files of `write_itk` bring back
    modality and units; those of others are ``"unknown"`` and ``"raw"``.

    Raises
    ------
    FileError
        If the file or its raw file is missing, damaged, or holds fewer bytes than the header promises, or the memory
        cannot hold them.
    GeometryError
        If it is not three-dimensional, states no voxel size or an unknown unit, or has sheared directions.
    IntensityError
        If a voxel is a vector or complex, NaN or infinite.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path}: no such file")
    voxels = voxels_of(path)
    if not voxels.file.is_file():
        raise FileError(f"{path}: its voxels should be in {voxels.file.name}, which is missing; put it beside")
    reader = sitk.ImageFileReader()
    # Left to itself, the library goes by the name of the file.
    reader.SetImageIO(voxels.library)
    reader.SetFileName(str(path))
    with _one_line(path):
        reader.ReadImageInformation()
        _require_size(path, voxels, _promised_bytes(path, reader))
        image = reader.Execute()
    view = sitk.GetArrayViewFromImage(image)
    values = np.array(view, dtype=np.float32 if view.dtype == np.float64 else view.dtype)
    require_finite(values, str(path))
    try:
        direction = as_direction(np.reshape(image.GetDirection(), (3, 3)))
    except GeometryError as error:
        raise GeometryError(f"{path}: {error}") from error
    spacing, origin = (
        cast(Triple, tuple(voxels.millimetres * mm for mm in place))
        for place in (image.GetSpacing()[::-1], image.GetOrigin())
    )
    modality, units = (_told(image, key) for key in (MODALITY, UNITS))
    return Volume(
        values,
        spacing,
        origin,
        direction,
        cast(Modality, modality) if modality in get_args(Modality) else "unknown",
        cast(Units, units) if units in get_args(Units) else "raw",
        voxels.notes,
        voxels.notes,
    )


def _told(image: Any, key: str) -> str:
    return str(image.GetMetaData(key)) if image.HasMetaDataKey(key) else ""


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise FileError(f"{path}: damaged, or not as its format wants it ({reason_of(error)})") from error


def _promised_bytes(path: Path, reader: Any) -> int:
    axes = reader.GetDimension()
    if axes != 3:
        sizes = "×".join(map(str, reader.GetSize()))
        raise GeometryError(f"{path}: {axes}-D ({sizes}), expected 3-D; extract one volume first")
    sample = sitk.Image([1, 1, 1], reader.GetPixelID(), reader.GetNumberOfComponents())
    voxel = sitk.GetArrayViewFromImage(sample)
    if reader.GetNumberOfComponents() != 1 or voxel.dtype.kind not in "iuf":
        raise IntensityError(f"{path}: vector or complex voxels, expected greyscale; extract one component")
    return math.prod(reader.GetSize()) * voxel.dtype.itemsize


def _require_size(path: Path, voxels: StoredVoxels, promised: int) -> None:
    """Raise unless the file holds what its header promises, and the memory does."""
    size = voxels.file.stat().st_size
    where = "the file" if voxels.file == path else voxels.file.name
    packed = 0
    if voxels.encoding == "raw":
        found = size - max(0, voxels.offset)
    elif size * _MOST_EXPANSION.get(voxels.encoding, promised) < promised:
        raise _unlike(path, promised, f"{where} of {size} bytes cannot hold them")
    elif voxels.encoding in ("zlib", "gzip", "gz"):
        found, packed = _inflated_bytes(path, voxels, promised)
    else:
        # The NRRD library checks the length of its other encodings itself, but not the checksum of gzip.
        found = promised
    if found < promised:
        raise _unlike(path, promised, f"{where} holds {max(0, found)}")
    # Voxels at the end of a file may follow anything; elsewhere, more of them were written for another shape.
    if found > promised and voxels.offset >= 0:
        raise _unlike(path, promised, f"{where} holds more")
    if voxels.compressed_bytes is not None and voxels.compressed_bytes != packed:
        # The library inflates so many bytes, and gives memory that was never written as the rest of the voxels.
        raise FileError(
            f"{path}: CompressedDataSize is {voxels.compressed_bytes or 'missing or 0'} in the header, the compressed "
            f"voxels take {packed} bytes; write CompressedDataSize = {packed}, or fetch the file again"
        )
    require_room(path, promised)


def _unlike(path: Path, promised: int, found: str) -> FileError:
    return FileError(
        f"{path}: the header promises {promised} bytes of voxels, {found}; it is cut short or damaged: fetch it again"
    )


def _inflated_bytes(path: Path, voxels: StoredVoxels, promised: int) -> tuple[int, int]:
    """Return how many bytes zlib makes, as far as just beyond what is promised, and of how many."""
    inflate, found, read = zlib.decompressobj(47), 0, 0
    try:
        with voxels.file.open("rb") as file:
            file.seek(max(0, voxels.offset))
            while not inflate.eof and found <= promised:
                chunk = inflate.unconsumed_tail
                if not chunk:
                    chunk = file.read(_CHUNK_BYTES)
                    read += len(chunk)
                if not chunk:
                    # All input may be taken in while some output still waits.
                    found += len(inflate.flush())
                    break
                found += len(inflate.decompress(chunk, _CHUNK_BYTES))
    except zlib.error as error:
        raise FileError(f"{path}: the compressed voxels are damaged ({error}); fetch it again") from error
    if found == promised and not inflate.eof:
        raise FileError(f"{path}: the compressed voxels end before their checksum; fetch it again")
    return found, read - len(inflate.unused_data) - len(inflate.unconsumed_tail)


def reason_of(error: RuntimeError) -> str:
    """Return the last line that tells something of ITK's multi-line text, without addresses and source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Reason:", "Exception thrown"))]
    return re.sub(r"^ITK ERROR: \w+\(0x[0-9a-f]+\): *", "", (telling or lines or ["no reason given"])[-1])
