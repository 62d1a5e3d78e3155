"""Reading NIfTI: ``.nii`` slice by slice, and ``.nii.gz`` whole.

Nothing is taken on trust: readers in common use load a truncated file without a word, so the size, the affine
and the values are checked before or while they are read.
"""

from __future__ import annotations

import gzip
import math
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from ctloupe.foundation.errors import FileError, GeometryError, IntensityError
from ctloupe.volume import geometry
from ctloupe.volume.formats.room import require_room
from ctloupe.volume.volume import LazyArray, Modality, Units, Volume, require_finite

VOXELS_FROM = {348: 352, 540: 544}
"""First byte that voxels may take in a file, by the size of its header."""

MARK = "ctloupe;"
"""Beginning of the description field of files written here."""

_MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_MOST_OFFSET = 1 << 26
# What may stand behind the voxels, as padding.
_TRAILING_BYTES = 1 << 20
# Largest difference of two statements of a voxel size, and of the corners of a volume, in voxels.
_SIZE_TOLERANCE = 0.01
_PLACE_TOLERANCE = 0.5
_READ_BYTES = 1 << 24
# The deflate format cannot expand a byte to more than this many.
_MOST_EXPANSION = 1032

_Block = tuple[slice, slice, slice]
_GZIP_FAULTS = (EOFError, gzip.BadGzipFile, zlib.error)


@dataclass(frozen=True)
class _Stored:
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    offset: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_nifti(path: Path) -> Volume:
    """Return the volume of a single-file NIfTI-1 or NIfTI-2, in millimetres whatever unit the file uses.

    Integers stay integers where the scaling in the header allows it; all other values become float32. The
    voxels of an uncompressed file are read when `Volume.data` is sliced. The sform wins over the qform. Files
    of `write_nifti` bring back modality and units; those of others are ``"unknown"`` and ``"raw"``.

    Raises
    ------
    FileError
        If the file is missing, damaged, or holds fewer bytes than its header promises, or the memory cannot hold
        those of a compressed one.
    GeometryError
        If it is not three-dimensional, or its affine is sheared, or no voxel size is stated, or sform, qform and pixdim
        contradict each other.
    IntensityError
        If the voxels are complex, in colour, NaN or infinite.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path}: no such file")
    compressed = _is_gzip(path)
    try:
        header = _header(path, compressed)
        # What the library thinks of absurd numbers is said again below, in one line.
        with warnings.catch_warnings(action="ignore"):
            stored = _layout(path, header)
            spacing, origin, direction, told = _place(path, header)
        dtype, convert = _scaling(path, header, stored.dtype)
        raw, beyond = _inflated(path, stored) if compressed else _mapped(path, stored)
    except _GZIP_FAULTS as error:
        raise FileError(f"{path}: the compressed data is damaged or cut short ({error}); fetch it again") from error
    data: NDArray[Any] | LazyArray
    if compressed:
        data = convert(raw)
        require_finite(data, str(path))
    else:
        data = LazyArray(stored.shape, dtype, lambda block: convert(np.array(raw[block])), str(path))
    modality, units = _parsed(header)
    least = VOXELS_FROM[int(header["sizeof_hdr"])]
    if float(header["vox_offset"]) < least:
        told += (
            f"vox_offset is {float(header['vox_offset']):g}; the voxels are taken from byte {least}, behind the header",
        )
    if beyond:
        told += (f"the file goes on for {beyond} bytes behind the voxels that its header promises",)
    return Volume(data, spacing, origin, direction, modality, units, told, told)


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _header(path: Path, compressed: bool) -> Any:
    with gzip.open(path) if compressed else path.open("rb") as file:
        block = file.read(540)
    for size, kind, at, magics in (
        (348, nib.Nifti1Header, 344, (b"n+1\0", b"ni1\0")),
        (540, nib.Nifti2Header, 4, (b"n+2\0", b"ni2\0")),
    ):
        if len(block) < size or size not in (int.from_bytes(block[:4], end) for end in ("little", "big")):
            continue
        magic = block[at : at + 4]
        if magic == magics[1]:
            raise FileError(f"{path}: a pair of header and voxels (.hdr/.img); save it as one .nii first")
        if magic == magics[0]:
            return kind(block[:size], check=False)
        raise FileError(f"{path}: an Analyze 7.5 header, which states no orientation; save it as NIfTI first")
    raise FileError(f"{path}: no NIfTI header, or only part of one ({len(block)} bytes read); fetch it again")


def _layout(path: Path, header: Any) -> _Stored:
    try:
        shape = [int(length) for length in header.get_data_shape()]
        dtype = np.dtype(header.get_data_dtype())
    except (HeaderDataError, KeyError, ValueError) as error:
        raise FileError(f"{path}: damaged NIfTI header ({str(error).splitlines()[0]}); fetch it again") from error
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) != 3:
        sizes = "×".join(map(str, shape))
        raise GeometryError(f"{path}: {len(shape)}-D ({sizes}), expected 3-D; extract one volume first")
    if min(shape) < 1:
        raise GeometryError(f"{path}: an axis of length {min(shape)} in the header; expected 1 or more")
    if dtype.kind not in "iuf":
        name = "complex" if dtype.kind == "c" else "colour"
        raise IntensityError(f"{path}: {name} voxels, expected greyscale; extract one component first")
    start = float(header["vox_offset"])
    least = VOXELS_FROM[int(header["sizeof_hdr"])]
    if not 0 <= start <= _MOST_OFFSET:
        raise FileError(f"{path}: vox_offset is {start:g}, expected 0 to {_MOST_OFFSET}; fetch the file again")
    return _Stored((shape[2], shape[1], shape[0]), dtype, max(least, int(start)))


def _place(path: Path, header: Any) -> tuple[geometry.Triple, geometry.Triple, geometry.Direction, tuple[str, ...]]:
    unit = int(header["xyzt_units"]) & 7
    if unit not in _MILLIMETRES:
        raise GeometryError(f"{path}: unknown unit of length (code {unit}); expected metre, mm or micron")
    millimetres = np.array([_MILLIMETRES[unit]] * 3 + [1.0])[:, None]
    told: tuple[str, ...] = ()
    sform, qform = int(header["sform_code"]), int(header["qform_code"])
    try:
        if sform > 0:
            affine = header.get_sform()
        elif qform > 0:
            affine = header.get_qform()
        else:
            affine, told = _unplaced(header), ("no orientation in the header",)
        place = geometry.from_affine_ras(millimetres * affine)
        return (*place, _agreeing(header, sform, qform) if sform > 0 else told)
    except (HeaderDataError, GeometryError, ValueError) as error:
        raise GeometryError(f"{path}: {error}") from error


def _agreeing(header: Any, sform_code: int, qform_code: int) -> tuple[str, ...]:
    """Return what to note where qform and sform lie in unlike spaces; raise where they contradict each other."""
    sform = header.get_sform()
    sizes = np.linalg.norm(sform[:3, :3], axis=0)
    pixdim = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    stated = np.isfinite(pixdim) & (pixdim > 0)
    if np.any(stated & (np.abs(sizes - pixdim) > _SIZE_TOLERANCE * pixdim)):
        found, expected = ("×".join(f"{size:.4g}" for size in one) for one in (sizes, pixdim))
        raise GeometryError(
            f"voxel sizes of {found} in the sform and {expected} in pixdim contradict each other; repair the header"
        )
    if qform_code <= 0:
        return ()
    ends = np.array([(x, y, z, 1.0) for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    ends[:, :3] *= np.asarray(header.get_data_shape()[:3]) - 1
    apart = float(np.linalg.norm(ends @ (sform - header.get_qform()).T, axis=1).max())
    reach = float(np.linalg.norm(ends[:, :3] @ sform[:3, :3].T, axis=1).max())
    if apart <= _PLACE_TOLERANCE * sizes.min() + _quaternion_rounding(header) * reach:
        return ()
    if sform_code == qform_code:
        raise GeometryError(
            f"sform and qform state the same space (code {sform_code}) and places {apart:.4g} apart; repair the header"
        )
    return (f"sform (code {sform_code}) and qform (code {qform_code}) lie {apart:.4g} apart; the sform is taken",)


def _quaternion_rounding(header: Any) -> float:
    """Angle in radians by which a qform may be off since its quaternion (a, b, c, d) is kept as b, c, d in float32.

    Near half a turn, where an axial scan of patient coordinates lies, a² = 1 − b² − c² − d² is all rounding; the
    library takes what is within three times the precision as 0.
    """
    squares = sum(float(header[f"quatern_{name}"]) ** 2 for name in "bcd")
    rounding = 3 * float(np.finfo(np.float32).eps)
    lowest, highest = (min(max(1 - squares + sign * rounding, 0.0), 1.0) for sign in (-1, 1))
    return 2 * (math.sqrt(highest) - math.sqrt(lowest))


def _unplaced(header: Any) -> NDArray[np.float64]:
    sizes = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    if not np.all(np.isfinite(sizes)) or np.any(sizes <= 0):
        stated = "×".join(f"{size:g}" for size in sizes)
        raise GeometryError(f"no affine, and a voxel size of {stated}; expected three sizes > 0: repair the header")
    # Without an orientation the axes are taken as LPS with the origin at zero.
    return np.diag([-sizes[0], -sizes[1], sizes[2], 1.0])


def _scaling(
    path: Path, header: Any, stored: np.dtype[Any]
) -> tuple[np.dtype[Any], Callable[[NDArray[Any]], NDArray[Any]]]:
    """Return the type of the values and the map from stored voxels to them, by the header's slope and intercept."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if not math.isfinite(slope) or slope == 0:
        slope, inter = 1.0, 0.0
    if not math.isfinite(inter):
        raise IntensityError(f"{path}: scl_inter is {inter}, expected a number; repair the header first")
    if slope == 1 and inter == 0:
        plain = stored.newbyteorder("=") if stored.kind in "iu" else np.dtype(np.float32)
        return plain, lambda values: values.astype(plain, copy=False)
    integer = _integer_type(stored, slope, inter)
    if integer is not None:
        whole = (integer.type(slope), integer.type(inter))
        return integer, lambda values: values.astype(integer) * whole[0] + whole[1]
    single = np.dtype(np.float32)
    # Single precision would round wide integers before the intercept is added.
    wide = stored.itemsize > 4 or (stored.kind in "iu" and stored.itemsize > 2)
    via = np.float64 if wide else np.float32
    return single, lambda values: (values.astype(via) * via(slope) + via(inter)).astype(single, copy=False)


def _integer_type(stored: np.dtype[Any], slope: float, inter: float) -> np.dtype[Any] | None:
    if stored.kind not in "iu" or not slope.is_integer() or not inter.is_integer():
        return None
    span = np.iinfo(stored)
    ends = [int(slope) * end + int(inter) for end in (int(span.min), int(span.max))]
    for candidate in (np.int16, np.int32):
        room = np.iinfo(candidate)
        if all(room.min <= value <= room.max for value in (*ends, int(slope), int(inter))):
            return np.dtype(candidate)
    return None


def _short(path: Path, promised: int, found: str) -> FileError:
    return FileError(
        f"{path}: the header promises {promised} bytes of voxels, the file holds {found}; "
        "it is cut short or damaged: fetch it again"
    )


def _mapped(path: Path, stored: _Stored) -> tuple[NDArray[Any], int]:
    """Return the voxels, read when indexed, and how many bytes stand behind them."""
    found = max(0, path.stat().st_size - stored.offset)
    if found < stored.nbytes:
        raise _short(path, stored.nbytes, str(found))
    return np.memmap(path, stored.dtype, "r", stored.offset, stored.shape), found - stored.nbytes


def _inflated(path: Path, stored: _Stored) -> tuple[NDArray[Any], int]:
    """Return the voxels, and how many bytes stand behind them."""
    most = path.stat().st_size * _MOST_EXPANSION
    if stored.nbytes > most:
        raise _short(path, stored.nbytes, f"{most} at most")
    require_room(path, stored.nbytes)
    values = np.empty(stored.shape, stored.dtype)
    target = values.reshape(-1).view(np.uint8)
    found = 0
    with gzip.open(path) as file:
        intact = len(file.read(stored.offset)) == stored.offset
        while intact and found < stored.nbytes:
            count = file.readinto(target[found : found + _READ_BYTES].data)
            if not count:
                break
            found += count
        # The checksum is compared only once the end is reached.
        beyond = 0
        while count := len(file.read(_TRAILING_BYTES)):
            beyond += count
            if beyond > _TRAILING_BYTES:
                raise FileError(
                    f"{path}: the header promises {stored.nbytes} bytes of voxels, the file goes on for more than "
                    f"{_TRAILING_BYTES} bytes behind them; it is damaged: fetch it again"
                )
    if found < stored.nbytes:
        raise _short(path, stored.nbytes, str(found))
    return values, beyond


def _parsed(header: Any) -> tuple[Modality, Units]:
    text = bytes(header["descrip"].item()).decode("latin-1")
    modality: Modality = "unknown"
    units: Units = "raw"
    if text.startswith(MARK):
        fields = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
        if fields.get("modality") in get_args(Modality):
            modality = cast(Modality, fields["modality"])
        if fields.get("units") in get_args(Units):
            units = cast(Units, fields["units"])
    return modality, units
