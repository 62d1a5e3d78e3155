"""TIFF stacks: one multi-page file, or a folder with one file a slice.

A TIFF rarely says how large its voxels are, and often says it wrongly, so nothing is guessed here: either the
file states all three sizes without contradicting itself, or the user states them.
"""

from __future__ import annotations

import math
import re
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import tifffile
from numpy.typing import NDArray

from ctloupe.foundation.errors import CtLoupeError, FileError, GeometryError, IntensityError, MissingExtraError
from ctloupe.volume.formats.room import require_room
from ctloupe.volume.formats.tiff.voxel_size import Statement, settle_voxel_size, stated
from ctloupe.volume.volume import LazyArray, Volume

_SUFFIXES = (".tif", ".tiff")

# What the library and its codecs raise for damaged files.
_DAMAGE = (
    *(OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, RuntimeError),
    *(ArithmeticError, MemoryError),
)

_Block = tuple[slice, slice, slice]


@dataclass(frozen=True)
class _Stack:
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    read: Callable[[_Block], NDArray[Any]]
    statements: tuple[Statement, ...]
    place: dict[str, Any] = field(default_factory=dict)


def read_tiff(path: Path, voxel_size: tuple[float, float, float] | None = None) -> Volume:
    """Return the volume of a multi-page TIFF, or of a folder of single-page ones in natural order (``s2``, ``s10``).

    Voxels are read when `Volume.data` is sliced. Files written by `write_tiff` also bring back their origin,
    modality, units and history; of any other file the origin is zero, the modality unknown and the units raw.

    Parameters
    ----------
    path
        File, or folder of files.
    voxel_size
        Voxel size (z, y, x) in mm. It wins over the file, and the history tells when the two differ. Without it the
        file must state all three (OME-XML, or ImageJ's spacing, unit and resolution).

    Raises
    ------
    FileError
        If a file is missing, damaged or holds less than its header promises.
    GeometryError
        If the voxel size is absent or stated twice with a difference over 1 %, if pages differ, if there are
        more than three axes, or if a slice number is missing or repeated.
    IntensityError
        If the pages are in colour, white-is-zero or not plain numbers.
    MissingExtraError
        If the compression needs the extra ``tiff``.
    """
    path = Path(path)
    stack = _open_folder(path) if path.is_dir() else _open_file(path)
    spacing, told = settle_voxel_size(path, stack.statements, voxel_size)
    place = stack.place
    notes = (*place.get("notes", ()), *told)
    return Volume(
        data=LazyArray(stack.shape, stack.dtype, stack.read, str(path)),
        spacing=spacing,
        origin=place.get("origin", (0.0, 0.0, 0.0)),
        modality=place.get("modality", "unknown"),
        units=place.get("units", "raw"),
        history=(*place.get("history", ()), *notes),
        notes=notes,
    )


def is_compressed(path: Path) -> bool:
    """Whether the first page of a file, or of the first file of a folder, is compressed; False of what is damaged."""
    files = _slice_files(path)[:1] if path.is_dir() else [path]
    try:
        with tifffile.TiffFile(files[0]) as tif:
            return bool(tif.pages.first.compression != 1)
    except (CtLoupeError, *_DAMAGE):
        return False


def _slice_files(folder: Path) -> list[Path]:
    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in _SUFFIXES and not file.name.startswith(".") and file.is_file()
    ]
    return sorted(files, key=lambda file: ([int(run) for run in re.findall(r"\d+", file.stem)], file.name))


def _open_folder(folder: Path) -> _Stack:
    files = _slice_files(folder)
    if not files:
        raise FileError(f"{folder}: holds no .tif or .tiff file; name the folder with the slices")
    _require_one_numbered_series(folder, files)
    slices = [_open_file(file) for file in files]
    first = slices[0]
    for file, one in zip(files, slices, strict=True):
        if one.shape[0] != 1:
            raise GeometryError(
                f"{file}: holds {one.shape[0]} pages; in a folder each file holds one; name the file itself"
            )
        if (one.shape, one.dtype) != (first.shape, first.dtype):
            raise GeometryError(
                f"{file}: {one.shape[2]}×{one.shape[1]} {one.dtype} but {files[0].name} is "
                f"{first.shape[2]}×{first.shape[1]} {first.dtype}; keep slices of one scan in a folder"
            )

    def read(block: _Block) -> NDArray[Any]:
        z, y, x = block
        chosen = [one.read((slice(0, 1), y, x)) for one in slices[z]]
        return np.concatenate(chosen) if chosen else np.empty((0, *first.shape[1:]), first.dtype)[:, y, x]

    statements = tuple(dict.fromkeys(statement for one in slices for statement in one.statements))
    return _Stack((len(files), *first.shape[1:]), first.dtype, read, statements)


def _require_one_numbered_series(folder: Path, files: Sequence[Path]) -> None:
    if len(files) < 2:
        return
    patterns = {re.sub(r"\d+", "#", file.stem): file.name for file in files}
    if len(patterns) > 1:
        one, other = list(patterns.values())[:2]
        raise GeometryError(
            f"{folder}: {one} and {other} are named differently, so the slice order is unclear; keep one "
            "numbered series in a folder"
        )
    numbers = np.array([[int(run) for run in re.findall(r"\d+", file.stem)] for file in files])
    steps = np.diff(numbers[:, np.ptp(numbers, axis=0) > 0], axis=0)
    if steps.shape[1] == 1 and len(set(steps[:, 0])) > 1:
        usual = int(np.median(steps))
        odd = int(np.flatnonzero(steps[:, 0] != usual)[0])
        raise GeometryError(
            f"{folder}: {files[odd].name} is followed by {files[odd + 1].name}, elsewhere numbers "
            f"grow by {usual}; a slice is missing or doubled, put the folder right"
        )
    if steps.shape[1] == 0:
        raise GeometryError(f"{folder}: {files[0].name} and {files[1].name} have one number; keep either")


@contextmanager
def _opened(path: Path) -> Iterator[tifffile.TiffFile]:
    try:
        with tifffile.TiffFile(path) as tif:
            yield tif
    except CtLoupeError:
        raise
    except _DAMAGE as error:
        raise _damaged(path, _first_line(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _damaged(path: Path, why: str) -> FileError:
    return FileError(f"{path}: not a whole, readable TIFF ({why}); copy or export it again")


def _open_file(path: Path) -> _Stack:
    with _opened(path) as tif:
        if len(tif.series) != 1:
            raise GeometryError(
                f"{path}: holds {len(tif.series)} images that differ in shape, type or compression, "
                "expected one stack of like pages; save the stack alone"
            )
        series = tif.series[0]
        keyframe = series.keyframe
        _require_greyscale(path, keyframe)
        _require_codec(path, keyframe)
        _require_page_chain(path, tif)
        _require_imagej_count(path, tif, series)
        shape = _stack_shape(path, series)
        dtype = np.dtype(series.dtype).newbyteorder("=")
        require_room(path, math.prod(shape[1:]) * dtype.itemsize)
        statements, place = stated(tif, keyframe)
        place |= _relabelled(series, place)
        _require_strips(path, 0, keyframe, keyframe)
        if series.dataoffset is not None and keyframe.is_memmappable:
            stored = np.dtype(series.dtype).newbyteorder(tif.byteorder)
            read = _mapped_reader(path, shape, stored, int(series.dataoffset))
        else:
            read = _page_reader(path, tif, series, shape)
    return _Stack(shape, dtype, read, statements, place)


def _require_greyscale(path: Path, page: tifffile.TiffPage) -> None:
    kind = getattr(page.photometric, "name", str(page.photometric))
    if page.samplesperpixel != 1 or kind != "MINISBLACK":
        found = f"{kind} with {page.samplesperpixel} sample(s) a pixel"
        raise IntensityError(f"{path}: expected greyscale with black as zero, found {found}; convert it")
    if page.dtype is None or np.dtype(page.dtype).kind not in "iuf":
        raise IntensityError(f"{path}: expected integers or floats, found {page.dtype}; convert to 8 or 16 bit")


def _require_codec(path: Path, page: tifffile.TiffPage) -> None:
    if page.compression in tifffile.TIFF.DECOMPRESSORS and page.predictor in tifffile.TIFF.UNPREDICTORS:
        return
    name = getattr(page.compression, "name", page.compression)
    raise MissingExtraError(f"{path}: decoding {name} compression needs pip install 'ctloupe[tiff]'")


def _require_page_chain(path: Path, tif: tifffile.TiffFile) -> None:
    _require_tags_inside(path, tif)
    len(tif.pages)
    end = tif.pages.next_page_offset
    handle = tif.filehandle
    if end is None:
        raise _damaged(path, "its list of pages has no end")
    handle.seek(end)
    (following,) = struct.unpack(tif.tiff.offsetformat, handle.read(tif.tiff.offsetsize))
    if following != 0:
        raise _damaged(path, f"page {len(tif.pages)} should start at byte {following} of {handle.size}")


def _require_tags_inside(path: Path, tif: tifffile.TiffFile) -> None:
    # The library drops a tag whose value lies beyond the end, and OME-XML, written last, is the first to go.
    tiff, handle = tif.tiff, tif.filehandle
    handle.seek(tif.pages[0].offset)
    (count,) = struct.unpack(tiff.tagnoformat, handle.read(tiff.tagnosize))
    for _ in range(count):
        entry = handle.read(tiff.tagsize)
        code, kind = struct.unpack(tiff.tagformat1, entry[:4])
        number, value = struct.unpack(tiff.tagformat2, entry[4:])
        length = number * struct.calcsize("=" + tifffile.TIFF.DATA_FORMATS.get(kind, "0B"))
        if length > tiff.tagoffsetthreshold:
            (start,) = struct.unpack(tiff.offsetformat, value)
            if start + length > handle.size:
                raise _damaged(path, f"tag {code} ends at byte {start + length} of {handle.size}")


def _require_imagej_count(path: Path, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    promised = int((tif.imagej_metadata or {}).get("images", 1))
    held = int(np.prod(series.shape)) // (series.keyframe.imagelength * series.keyframe.imagewidth)
    if promised > held:
        raise _damaged(path, f"ImageJ promises {promised} pages, the file holds {held}")


def _stack_shape(path: Path, series: tifffile.TiffPageSeries) -> tuple[int, int, int]:
    axes = list(zip(series.axes, series.shape, strict=True))
    real = [(axis, length) for axis, length in axes if axis not in "YX" and length > 1]
    if series.keyframe.imagedepth > 1 or len(real) > 1:
        found = ", ".join(f"{axis} {length}" for axis, length in axes)
        raise GeometryError(
            f"{path}: expected a stack of pages along z, found axes {found}; save one channel and one time point alone"
        )
    page = series.keyframe
    return (real[0][1] if real else 1, int(page.imagelength), int(page.imagewidth))


def _relabelled(series: tifffile.TiffPageSeries, place: dict[str, Any]) -> dict[str, Any]:
    # Stacks saved from Python without axis names are often labelled as channels or times.
    for axis, length in zip(series.axes, series.shape, strict=True):
        if axis in "CT" and length > 1:
            return {"notes": (f"axis {axis} of the TIFF taken as z",)}
    return {}


def _mapped_reader(
    path: Path, shape: tuple[int, int, int], stored: np.dtype[Any], offset: int
) -> Callable[[_Block], NDArray[Any]]:
    needed = offset + int(np.prod(shape)) * stored.itemsize
    size = path.stat().st_size
    if size < needed:
        raise _damaged(path, f"voxels end at byte {needed}, the file at {size}")

    def read(block: _Block) -> NDArray[Any]:
        try:
            mapped = np.memmap(path, stored, "r", offset, shape)
        except (OSError, ValueError) as error:
            raise _damaged(path, "it changed after it was opened") from error
        return np.array(mapped[block], dtype=stored.newbyteorder("="))

    return read


def _require_strips(path: Path, number: int, page: Any, keyframe: tifffile.TiffPage) -> None:
    """Raise unless the strips or tiles of a page cover it; the library leaves zeros where there is none."""
    expected, found = math.prod(keyframe.chunked), len(page.dataoffsets)
    whole = keyframe.compression == 1 and found == 1 and page.databytecounts[0] >= keyframe.nbytes
    if found != expected and not whole:
        raise _damaged(path, f"page {number} has {found} of the {expected} strips or tiles that its tags promise")


def _page_reader(
    path: Path, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, shape: tuple[int, int, int]
) -> Callable[[_Block], NDArray[Any]]:
    pages = list(series.pages)
    size = tif.filehandle.size
    for number, page in enumerate(pages):
        if page is None:
            raise _damaged(path, f"page {number} is absent")
        if page.parent is not tif:
            raise GeometryError(f"{path}: OME-XML spreads the stack over several files; save it as one")
        ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if not ends or max(ends) > size or min(page.databytecounts) < 1:
            raise _damaged(path, f"the data of page {number} are not all in the file of {size} bytes")
        _require_strips(path, number, page, series.keyframe)
    if len(pages) != shape[0]:
        raise _damaged(path, f"{shape[0]} pages are promised, {len(pages)} held")
    handle, lock = tif.filehandle, threading.Lock()
    dtype = np.dtype(series.dtype).newbyteorder("=")

    def read(block: _Block) -> NDArray[Any]:
        z, y, x = block
        values = np.empty([len(range(length)[one]) for one, length in zip(block, shape, strict=True)], dtype)
        with lock:
            try:
                handle.open()
                for row, page in enumerate(pages[z]):
                    values[row] = cast(Any, page).asarray().reshape(shape[1:])[y, x]
            except _DAMAGE as error:
                raise _damaged(path, f"pages {z.start} to {z.stop - 1}: {_first_line(error)}") from error
            finally:
                handle.close()
        return values

    return read
