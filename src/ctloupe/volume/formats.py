"""`read` and `write`: one door for every file format."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.atomic import full_suffix, replacing, replacing_together
from ctloupe.foundation.errors import CtLoupeError, FileError, IntensityError, OptionError
from ctloupe.volume.geometry import Triple
from ctloupe.volume.volume import LazyArray, Volume

Format = Literal["nifti", "metaimage", "nrrd", "dicom", "tiff", "ome-zarr"]

_BY_SUFFIX: dict[str, Format] = {
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".mha": "metaimage",
    ".mhd": "metaimage",
    ".nrrd": "nrrd",
    ".nhdr": "nrrd",
    ".ome.zarr": "ome-zarr",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".ome.tif": "tiff",
    ".ome.tiff": "tiff",
    ".dcm": "dicom",
    ".dicom": "dicom",
}
_ONLY_READ = (".nhdr", ".dcm")

READABLE: tuple[str, ...] = tuple(_BY_SUFFIX)
"""Suffixes of the files that `read` takes; it also takes folders of DICOM or TIFF files."""

WRITABLE: tuple[str, ...] = tuple(suffix for suffix in _BY_SUFFIX if suffix not in _ONLY_READ)
"""Suffixes that `write` takes."""

_LISTED = "readable are " + " ".join(READABLE) + " and folders of DICOM or TIFF files"
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEAD_BYTES = 8192
_SLAB_BYTES = 1 << 26

_CHANGED_TYPES: dict[str, type[np.generic]] = {
    "bool": np.uint8,
    "float16": np.float32,
    "float64": np.float32,
    "int64": np.int32,
    "uint64": np.int32,
}


def read(path: Path | str, *, series: str | int | None = None, voxel_size: Triple | None = None) -> Volume:
    """Volume of a file or folder in any readable format, recognised by content, then by suffix.

    Parameters
    ----------
    path
        NIfTI, MetaImage, NRRD, TIFF or DICOM file, folder of DICOM or TIFF files, or OME-Zarr store.
    series
        Which DICOM series, where a folder holds several.
    voxel_size
        (z, y, x) in mm, of a TIFF; every other format states its own.

    Raises
    ------
    FileError
        If nothing is there, or it is empty, damaged, or in no readable format.
    GeometryError, IntensityError
        As the reader of the format.
    OptionError
        If `series` or `voxel_size` is given for a format that has no use for it.
    """
    path = Path(path)
    kind = detect(path)
    if voxel_size is not None and kind != "tiff":
        raise OptionError(f"{path}: a voxel size was given, but {kind} states its own; leave it out")
    if series is not None and kind != "dicom":
        raise OptionError(f"{path}: a series was given, but this is {kind}, not DICOM; leave it out")
    try:
        return _read_as(kind, path, series, voxel_size)
    except PermissionError as error:
        raise _forbidden(path) from error


def write(volume: Volume, path: Path | str, overwrite: bool = False, source: Sequence[Path] = ()) -> Path:
    """Write `volume` in the format of the suffix; the file appears whole or not at all.

    Booleans are written as uint8, float16 and float64 as float32, 64-bit integers as int32. No format
    receives a patient field, since a `Volume` has none.

    Parameters
    ----------
    volume
        Lazily read voxels are copied slab by slab where the format allows it.
    path
        Name ending in one of `WRITABLE`; a missing parent folder is made. ``.dicom`` is a folder of DICOM files.
    overwrite
        Whether a file of that name may be replaced.
    source
        DICOM files that the volume was made from; a DICOM series takes patient and study from them.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OptionError
        If the suffix is unknown.
    FileError
        If `path` exists without `overwrite`, or cannot be written.
    GeometryError, IntensityError
        If the format cannot hold the orientation, or the values are not finite or do not fit.
    """
    path = Path(path)
    kind = require_writable(path, overwrite)
    suffix = full_suffix(path).lower()
    storable = replace(volume, data=_storable(volume.data, path))
    if suffix == ".mhd":
        # Raw first: the header must never name voxels that are not there.
        with replacing_together((path.with_suffix(".raw"), path), overwrite) as folder:
            _write_as(kind, storable, folder / path.name, path, source)
    else:
        with replacing(path, overwrite) as temporary:
            _write_as(kind, storable, temporary, path, source)
    return path


def require_writable(path: Path | str, overwrite: bool = False) -> Format:
    """Format that `write` would use for `path`; raises now what `write` would raise after the work is done.

    Raises
    ------
    OptionError
        If the suffix is unknown.
    FileError
        If `path` exists without `overwrite`, or is a folder where a file is to be written.
    """
    path = Path(path)
    suffix = full_suffix(path).lower()
    if suffix not in WRITABLE:
        raise OptionError(f"{path}: unknown output format '{suffix}'; name it with one of {' '.join(WRITABLE)}")
    kind = _BY_SUFFIX[suffix]
    if path.is_dir() and kind not in ("ome-zarr", "dicom"):
        raise FileError(f"{path}: is a folder, and a file cannot take its place; give another name")
    if path.exists() and not overwrite:
        raise FileError(f"{path}: exists already; give `overwrite` to replace it, or another name")
    return kind


def detect(path: Path | str) -> Format:
    """Format of a file or folder, by content; the suffix decides only where content has no mark.

    Raises
    ------
    FileError
        If nothing is there, or it is empty or in no readable format.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _detect_folder(path)
        if not path.exists():
            raise FileError(f"{path}: no such file or folder")
        if not path.is_file():
            raise FileError(f"{path}: neither a file nor a folder; {_LISTED}")
        if path.stat().st_size == 0:
            raise FileError(f"{path}: the file is empty; {_LISTED}")
        kind = _detect_file(path)
    except PermissionError as error:
        raise _forbidden(path) from error
    if kind is not None:
        return kind
    named = _BY_SUFFIX.get(full_suffix(path).lower())
    fault = "in no readable format" if named is None else f"named as {named}, but damaged or something else"
    raise FileError(f"{path}: {fault}; {_LISTED}")


def _forbidden(path: Path) -> FileError:
    return FileError(f"{path}: no permission to read it; ask its owner, or copy it")


def _detect_file(path: Path) -> Format | None:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    suffix = full_suffix(path).lower()
    if head.startswith(b"\x1f\x8b"):
        return "nifti" if suffix == ".nii.gz" or _is_nifti(_inflated(head)) else None
    return _marked(head)


def _marked(head: bytes) -> Format | None:
    # DICOM goes first: its free preamble may hold the marks of another format, as of TIFF.
    if head[128:132] == b"DICM":
        return "dicom"
    if head.startswith(b"NRRD"):
        return "nrrd"
    if head.startswith(_TIFF_MAGIC):
        return "tiff"
    if _is_nifti(head):
        return "nifti"
    if re.search(rb"(?m)^(ObjectType|NDims)[ \t]*=", head):
        return "metaimage"
    return None


def _is_nifti(head: bytes) -> bool:
    sizes = {int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")}
    return bool(sizes & {348, 540})


def _inflated(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(47).decompress(head, 4)
    except zlib.error:
        return b""


def _detect_folder(path: Path) -> Format:
    from ctloupe.volume.dicom import is_dicom
    from ctloupe.volume.ome_zarr import is_ome_zarr

    if is_ome_zarr(path):
        return "ome-zarr"
    files = [file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")]
    found = set(_slice_formats(files))
    if found == {"dicom", "tiff"}:
        raise FileError(f"{path}: holds DICOM and TIFF files together; put one kind in a folder of its own")
    for kind in found:
        return kind
    if is_dicom(path):
        return "dicom"
    named = [file.name for file in files if full_suffix(file).lower() in READABLE]
    if named:
        raise FileError(f"{path}: a folder without DICOM or TIFF files; name one file of it, as {named[0]}")
    raise FileError(f"{path}: the folder holds {len(files)} files, none of them DICOM or TIFF; {_LISTED}")


def _slice_formats(files: list[Path]) -> Iterator[Format]:
    for file in files:
        with file.open("rb") as opened:
            kind = _marked(opened.read(132))
        if kind in ("dicom", "tiff"):
            yield kind


def _read_as(kind: Format, path: Path, series: str | int | None, voxel_size: Triple | None) -> Volume:
    # Each reader brings a heavy library: only the one that is needed is imported.
    if kind == "nifti":
        from ctloupe.volume.nifti import read_nifti

        return read_nifti(path)
    if kind in ("metaimage", "nrrd"):
        from ctloupe.volume.itk import read_itk

        return read_itk(path)
    if kind == "dicom":
        from ctloupe.volume.dicom import read_dicom

        return read_dicom(path, series=series)
    if kind == "tiff":
        from ctloupe.volume.tiff import read_tiff

        return read_tiff(path, voxel_size=voxel_size)
    from ctloupe.volume.ome_zarr import read_ome_zarr

    return read_ome_zarr(path)


def _write_as(kind: Format, volume: Volume, temporary: Path, path: Path, source: Sequence[Path]) -> None:
    try:
        if kind == "dicom":
            from ctloupe.volume.dicom_write import write_dicom

            write_dicom(volume, temporary, source)
        else:
            _writer(kind)(volume, temporary)
    except CtLoupeError as error:
        raise type(error)(str(error).replace(str(temporary), str(path))) from error


def _writer(kind: Format) -> Callable[[Volume, Path], None]:
    if kind == "nifti":
        from ctloupe.volume.nifti import write_nifti

        return write_nifti
    if kind in ("metaimage", "nrrd"):
        from ctloupe.volume.itk import write_itk

        return write_itk
    if kind == "tiff":
        from ctloupe.volume.tiff import write_tiff

        return write_tiff
    from ctloupe.volume.ome_zarr_write import write_ome_zarr

    return write_ome_zarr


def _storable(data: Any, path: Path) -> Any:
    """`data`, or a lazily converted form of it where its type is one that formats or tools do not share."""
    stored = np.dtype(data.dtype)
    if stored.kind not in "biuf":
        raise IntensityError(f"{path}: {stored} voxels cannot be written; convert to int16 or float32 first")
    if stored.name not in _CHANGED_TYPES:
        return data
    target = np.dtype(_CHANGED_TYPES[stored.name])
    if stored.kind in "iu":
        _require_range(data, target, path)

    def convert(block: tuple[slice, slice, slice]) -> NDArray[Any]:
        # What overflows becomes infinite, and is refused as such by `LazyArray`.
        with np.errstate(over="ignore"):
            return np.asarray(data[block]).astype(target)

    return LazyArray(tuple(data.shape), target, convert, str(path))


def _require_range(data: Any, target: np.dtype[Any], path: Path) -> None:
    room = np.iinfo(target)
    depth, height, width = data.shape
    step = max(1, _SLAB_BYTES // (height * width * np.dtype(data.dtype).itemsize))
    for start in range(0, depth, step):
        slab = np.asarray(data[start : start + step])
        low, high = int(slab.min()), int(slab.max())
        if low < room.min or high > room.max:
            raise IntensityError(
                f"{path}: {data.dtype} values from {low} to {high} do not fit {target}; rescale them first"
            )
