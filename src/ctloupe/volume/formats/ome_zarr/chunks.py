"""Which chunks of a Zarr array are there: whether any is, and, going through all files, which are not."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.location import Location
from ctloupe.volume.formats.ome_zarr.codecs import METADATA
from ctloupe.volume.formats.room import require_room

MOST_ALONG_AXIS: Final = 1 << 24
"""Most voxels along an axis: no scanner makes them, and nobody could wait for them."""


@dataclass(frozen=True)
class Absent:
    """Chunks of an array that no file holds; where they are legal, they read as the fill value.

    Attributes
    ----------
    count, total
        Number of absent chunks, and of all that the shape promises.
    first
        Name of the first absent one, in the order of the indices.
    """

    count: int
    total: int
    first: str


def absent_chunks(folder: Path, array: Any, store: Path) -> Absent | None:
    """Return the chunks of `array`, stored in `folder` of `store`, that are not there; None where all are.

    Only names are looked at, and the work grows with the files that are there, not with what the shape promises.

    Raises
    ------
    FileError
        If an axis is empty or absurdly long, a chunk lies beyond the shape, the memory cannot hold a chunk or a slice,
        no chunk is there at all, or a file is empty, no regular one, or a link out of the store.
    """
    shape, stored = require_sensible(folder, array)
    grid = tuple(-(-length // step) for length, step in zip(shape, stored, strict=True))
    present = _present(folder, store, array.metadata, grid)
    total = math.prod(grid)
    if not present:
        raise FileError(f"{folder}: none of its {total} chunks is there; copy the store again")
    if len(present) == total:
        return None
    # Among so many and one more there is one that is not there.
    first = next(at for at in _in_order(grid, len(present) + 1) if at not in present)
    return Absent(total - len(present), total, array.metadata.encode_chunk_key(first))


def require_sensible(folder: Location, array: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shape of an array and of the pieces that it is stored in.

    Raises
    ------
    FileError
        If an axis is empty or absurdly long, or the memory cannot hold a chunk or a slice.
    """
    shape = tuple(int(length) for length in array.shape)
    stored = tuple(array.shards or array.chunks)
    if min(*shape, *stored) < 1:
        raise FileError(f"{folder}: a shape of {shape} in chunks of {stored}, expected 1 or more; write it again")
    if max(shape) > MOST_ALONG_AXIS:
        raise FileError(f"{folder}: an axis of {max(shape)} voxels, expected at most {MOST_ALONG_AXIS}; write it again")
    require_room(folder, math.prod(sorted(shape)[-2:]) * array.dtype.itemsize)
    require_room(folder, math.prod(array.chunks) * array.dtype.itemsize)
    return shape, stored


def require_ends(folder: Path, array: Any, every_chunk: bool) -> None:
    """Look at a few names that tell of a store that was cut short, whatever the number of its chunks.

    Parameters
    ----------
    folder
        Folder of the array.
    array
        The array.
    every_chunk
        Whether no chunk may be absent: then the first and the last have to be there, else any.

    Raises
    ------
    FileError
        If no chunk is there, or not the first or the last of a store that promises all, or one beyond the shape.
    """
    shape, stored = require_sensible(folder, array)
    last = tuple(-(-length // step) - 1 for length, step in zip(shape, stored, strict=True))

    def file(at: tuple[int, ...]) -> Path:
        return folder / array.metadata.encode_chunk_key(at)

    for axis in range(len(last)):
        beyond = file(tuple(last[axis] + 1 if one == axis else 0 for one in range(len(last))))
        if os.path.lexists(beyond):
            raise FileError(f"{beyond}: lies beyond the shape of its array; copy or write the store again")
    if not _holds_a_chunk(folder):
        raise FileError(f"{folder}: none of its {math.prod(one + 1 for one in last)} chunks is there; copy it again")
    for one in (file((0,) * len(last)), file(last)) if every_chunk else ():
        if not os.path.lexists(one):
            raise FileError(f"{one}: is missing, a chunk of the store; copy or write the store again")


def _holds_a_chunk(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        for entry in entries:
            if _holds_a_chunk(Path(entry.path)) if entry.is_dir() else entry.name not in METADATA:
                return True
    return False


def _present(folder: Path, store: Path, metadata: Any, grid: Sequence[int]) -> set[tuple[int, ...]]:
    found = set()
    for name in _files(folder, store):
        at = tuple(int(number) for number in re.findall(r"(?<![^/.])\d+(?![^/.])", name))
        if len(at) != len(grid) or metadata.encode_chunk_key(at) != name:
            continue
        if any(one >= length for one, length in zip(at, grid, strict=True)):
            raise FileError(f"{folder / name}: lies beyond the shape of its array; copy or write the store again")
        found.add(at)
    return found


def _files(folder: Path, store: Path) -> Iterator[str]:
    """Names of the files below `folder`, each of which is regular, lies inside of `store` and holds something."""
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                    continue
                if entry.is_symlink():
                    require_inside(Path(entry.path), store)
                if not entry.is_file():
                    raise FileError(
                        f"{entry.path}: neither a file nor a folder, and no chunk; copy or write the store again"
                    )
                # An empty file would pass as a chunk that was never written.
                if entry.stat().st_size == 0:
                    raise FileError(f"{entry.path}: is empty; copy or write the store again")
                yield Path(entry.path).relative_to(folder).as_posix()


def require_inside(path: Path, store: Path) -> None:
    """Raise `FileError` if links lead from `path` out of the store, to what nobody named."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(store)):
        raise FileError(f"{path}: a link leads out of the store; copy what it leads to into the store")


def _in_order(grid: Sequence[int], count: int) -> Iterator[tuple[int, ...]]:
    """Yield the first `count` indices of a grid, the last axis fastest; a product of ranges would hold them all."""
    for rank in range(count):
        at = []
        for length in reversed(grid):
            rank, one = divmod(rank, length)
            at.append(one)
        yield tuple(reversed(at))
