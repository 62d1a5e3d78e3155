"""MetaImage (``.mha``, ``.mhd`` + ``.raw``) and NRRD through SimpleITK.

SimpleITK does not mind a missing voxel size (it takes 1 mm), a unit other than millimetre, or a compressed
MetaImage with damaged bytes, so the text header is read here first and compared with the file.
"""

from __future__ import annotations

import errno
import math
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import SimpleITK as sitk

from ctloupe.foundation.errors import FileError, GeometryError, IntensityError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.volume.geometry import Triple, as_direction
from ctloupe.volume.volume import Modality, Units, Volume, require_finite

_MODALITY, _UNITS, _NOTICE = "ctloupe_modality", "ctloupe_units", "ctloupe_notice"
_MOST_HEADER_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 22
# The two micro signs are U+00B5 and U+03BC.
_MILLIMETRES = {"": 1.0, "?": 1.0, "mm": 1.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "cm": 10.0, "m": 1e3}
_LONG_NAMES = {"millimeter": "mm", "millimetre": "mm", "micron": "um", "micrometer": "um", "micrometre": "um"}


@dataclass(frozen=True)
class _Voxels:
    """Where the voxels lie: `offset` is negative when they are the last bytes of the file."""

    file: Path
    offset: int
    encoding: str
    millimetres: float


def read_itk(path: Path) -> Volume:
    """Volume of a MetaImage or NRRD file, in memory and in millimetres whatever unit the file states.

    The type of the voxels is kept, except that float64 becomes float32. Files of `write_itk` bring back
    modality and units; those of others are ``"unknown"`` and ``"raw"``.

    Raises
    ------
    FileError
        If the file or its raw file is missing, damaged, or holds fewer bytes than the header promises.
    GeometryError
        If it is not three-dimensional, states no voxel size or an unknown unit, or has sheared directions.
    IntensityError
        If a voxel is a vector or complex, NaN or infinite.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path}: no such file")
    voxels = _header(path)
    if not voxels.file.is_file():
        raise FileError(f"{path}: its voxels should be in {voxels.file.name}, which is missing; put it beside")
    reader = sitk.ImageFileReader()
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
    modality, units = (_told(image, key) for key in (_MODALITY, _UNITS))
    return Volume(
        values,
        spacing,
        origin,
        direction,
        cast(Modality, modality) if modality in get_args(Modality) else "unknown",
        cast(Units, units) if units in get_args(Units) else "raw",
    )


def write_itk(volume: Volume, path: Path) -> None:
    """Write `volume` uncompressed; of ``.mhd`` the voxels go to a ``.raw`` of the same name beside it.

    All voxels are in memory meanwhile, twice for a moment. Booleans become uint8.

    Raises
    ------
    IntensityError
        If a value is NaN or infinite, or the type is one that SimpleITK has not got.
    OSError
        If the disk is full or the write fails.
    """
    path = Path(path)
    values = volume.array()
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    require_finite(values, str(path))
    _require_space(path, values.nbytes)
    try:
        image = sitk.GetImageFromArray(values)
    except TypeError as error:
        raise IntensityError(
            f"{path}: {values.dtype} voxels cannot be written; convert to int16 or float32 first"
        ) from error
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.origin)
    image.SetDirection([cosine for row in volume.direction for cosine in row])
    for key, text in ((_MODALITY, volume.modality), (_UNITS, volume.units), (_NOTICE, RESEARCH_NOTICE)):
        image.SetMetaData(key, text)
    try:
        sitk.WriteImage(image, str(path), useCompression=False)
    except RuntimeError as error:
        _require_space(path, values.nbytes)
        raise OSError(errno.EIO, _reason(error)) from error


def _told(image: Any, key: str) -> str:
    return str(image.GetMetaData(key)) if image.HasMetaDataKey(key) else ""


def _require_space(path: Path, nbytes: int) -> None:
    if shutil.disk_usage(path.parent).free < nbytes:
        raise OSError(errno.ENOSPC, "disk full")


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise FileError(f"{path}: damaged, or not as its format wants it ({_reason(error)})") from error


def _reason(error: RuntimeError) -> str:
    """Last line that tells something of ITK's multi-line text, without addresses and source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Reason:", "Exception thrown"))]
    return re.sub(r"^ITK ERROR: \w+\(0x[0-9a-f]+\): *", "", (telling or lines or ["no reason given"])[-1])


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


def _require_size(path: Path, voxels: _Voxels, promised: int) -> None:
    size = voxels.file.stat().st_size
    if voxels.encoding == "raw":
        found = size - max(0, voxels.offset)
    elif voxels.encoding == "zlib":
        found = _inflated_bytes(path, voxels)
    else:
        # The NRRD library checks the length of its other encodings itself.
        return
    if found < promised:
        where = "the file" if voxels.file == path else voxels.file.name
        raise FileError(
            f"{path}: the header promises {promised} bytes of voxels, {where} holds {max(0, found)}; "
            "it is cut short or damaged: fetch it again"
        )


def _inflated_bytes(path: Path, voxels: _Voxels) -> int:
    inflate, found = zlib.decompressobj(47), 0
    try:
        with voxels.file.open("rb") as file:
            file.seek(max(0, voxels.offset))
            while not inflate.eof and (chunk := inflate.unconsumed_tail or file.read(_CHUNK_BYTES)):
                found += len(inflate.decompress(chunk, _CHUNK_BYTES))
    except zlib.error as error:
        raise FileError(f"{path}: the compressed voxels are damaged ({error}); fetch it again") from error
    return found


def _header(path: Path) -> _Voxels:
    with path.open("rb") as file:
        head = file.read(_MOST_HEADER_BYTES)
    try:
        return _nrrd(path, head) if head.startswith(b"NRRD") else _metaimage(path, head)
    except (ValueError, KeyError) as error:
        raise FileError(f"{path}: damaged header ({error}); fetch the file again") from error


def _metaimage(path: Path, head: bytes) -> _Voxels:
    end = re.search(rb"(?m)^ElementDataFile[ \t]*=[^\n]*\n?", head)
    if end is None:
        raise FileError(f"{path}: no MetaImage header, or one without ElementDataFile; fetch the file again")
    fields: dict[str, str] = {}
    for line in head[: end.end()].decode("utf-8", "replace").splitlines():
        key, _, value = line.partition("=")
        fields[key.strip()] = value.strip()
    if fields.get("BinaryData", "True").lower().startswith("f"):
        raise FileError(f"{path}: voxels written as text are not read; save it as binary first")
    sizes = fields.get("ElementSpacing") or fields.get("ElementSize")
    _require_spacing(path, [float(size) for size in (sizes or "").split()])
    name = fields["ElementDataFile"]
    if name.split(" ")[0] == "LIST" or "%" in name:
        raise FileError(f"{path}: its voxels are spread over several files; save it as one .mha first")
    local = name.upper() == "LOCAL"
    offset = int(fields.get("HeaderSize", "0"))
    compressed = fields.get("CompressedData", "False").lower().startswith("t")
    return _Voxels(
        file=path if local else path.parent / name,
        offset=end.end() if local and offset == 0 else offset,
        encoding="zlib" if compressed else "raw",
        millimetres=_unit(path, fields.get("DistanceUnits", "")),
    )


def _nrrd(path: Path, head: bytes) -> _Voxels:
    end = re.search(rb"\r?\n\r?\n", head)
    text = head[: end.start()] if end else head
    fields: dict[str, str] = {}
    for line in text.decode("utf-8", "replace").splitlines()[1:]:
        key, colon, value = line.partition(":")
        if colon and not line.startswith("#") and not value.startswith("="):
            fields[key.strip().lower()] = value.strip()
    vectors = re.findall(r"\(([^)]*)\)", fields.get("space directions", ""))
    if vectors:
        steps = [math.hypot(*(float(part) for part in vector.split(","))) for vector in vectors]
    else:
        steps = [float(size) for size in fields.get("spacings", "").split() if size.lower() != "nan"]
    _require_spacing(path, steps)
    units = set(re.findall(r'"([^"]*)"', fields.get("space units", fields.get("units", ""))))
    if len(units) > 1:
        found = ", ".join(sorted(units))
        raise GeometryError(f"{path}: axes in different units ({found}); expected the same, as mm")
    name = fields.get("data file") or fields.get("datafile")
    if name and (name.split()[0] == "LIST" or "%" in name):
        raise FileError(f"{path}: its voxels are spread over several files; save it as one .nrrd first")
    encoding = fields["encoding"].lower()
    skip = int(fields.get("byte skip", fields.get("byteskip", "0")))
    begin = 0 if name else (end.end() if end else len(head))
    lines = int(fields.get("line skip", fields.get("lineskip", "0")))
    return _Voxels(
        file=path.parent / name if name else path,
        offset=-1 if skip < 0 else begin + skip,
        encoding=encoding if lines == 0 else "skipped lines",
        millimetres=_unit(path, units.pop() if units else ""),
    )


def _require_spacing(path: Path, sizes: list[float]) -> None:
    if not sizes:
        raise GeometryError(f"{path}: no voxel size in the header, and none is guessed; add it to the header")
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        stated = "×".join(f"{size:g}" for size in sizes)
        raise GeometryError(f"{path}: a voxel size of {stated} in the header; expected numbers > 0")


def _unit(path: Path, name: str) -> float:
    short = _LONG_NAMES.get(name.lower().removesuffix("s"), name)
    if short not in _MILLIMETRES:
        raise GeometryError(f"{path}: unknown unit of length '{name}'; expected mm, um, cm or m")
    return _MILLIMETRES[short]
