"""A volume cut into tiles: any plane of it, at any of its levels, read no further than a tile needs.

Levels that a file holds are used; further ones are means of blocks, made on demand. A tile has a border of
neighbouring pixels, so that whoever draws it can interpolate across its edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ctloupe.display.cache import ArrayCache
from ctloupe.display.frame import Placed
from ctloupe.foundation.errors import OptionError

TILE: Final = 512
"""Side of a tile in pixels of its level, without its border."""

BORDER: Final = 2
"""Pixels around a tile that belong to its neighbours; at the edge of the volume the last pixel is repeated."""

NOTHING: Final = -32768
"""What stands in an int16 tile where the volume has no value; in a float32 tile that is NaN."""

COARSEST: Final = 256
"""Levels end once no side of the plane is longer than so many pixels."""

MOST_BYTES_ACROSS: Final = 1 << 27
"""Most bytes read for a plane across the slices of a file; levels that cost more are not offered."""

ALIKE: Final = 1.5
"""Largest ratio of the sides of a pixel at which both are doubled for the next level."""

IN_PLANE: Final = {0: (1, 2), 1: (0, 2), 2: (0, 1)}
"""Axes (0: z) down and across a plane, by the axis that is normal to it."""

Wire = Literal["int16", "float32"]


@dataclass(frozen=True)
class PlaneLevel:
    """A resolution at which a plane is offered.

    Attributes
    ----------
    own
        Which of the volume's own levels it is made of.
    factors : (down, across)
        Pixels of that level a pixel of this one.
    shape : (down, across)
        Its pixels.
    edge : (down, across)
        Position of its outer edge in the frame, in mm.
    pixel : (down, across)
        Size of a pixel in mm.
    """

    own: int
    factors: tuple[int, int]
    shape: tuple[int, int]
    edge: tuple[float, float]
    pixel: tuple[float, float]


class Tiles:
    """The tiles of a volume that lies in a frame.

    Parameters
    ----------
    levels
        The volume, and the coarser copies that its file holds, finest first.
    cache
        Where parts of the file are kept.
    name
        What tells the volume from others in the cache.
    """

    def __init__(self, levels: Sequence[Placed], cache: ArrayCache, name: str) -> None:
        self.own = tuple(levels)
        self._cache = cache
        self._name = name
        self._reading = Lock()
        whole = self.own[0].dtype in (np.int8, np.uint8, np.int16)
        self.wire: Wire = "int16" if whole else "float32"
        self.planes: dict[int, tuple[PlaneLevel, ...]] = {axis: self._levels_of(axis) for axis in range(3)}

    @property
    def finest(self) -> Placed:
        """The volume at its full resolution."""
        return self.own[0]

    def tile(self, axis: int, level: int, index: int, row: int, column: int) -> NDArray[Any]:
        """Return a tile with its border, of the type `wire`.

        Parameters
        ----------
        axis
            Normal of the plane (0: z).
        level
            Number of the level in `planes`.
        index
            Voxel of the finest level along the normal.
        row, column
            Number of the tile.

        Raises
        ------
        OptionError
            If there is no such tile.
        """
        if not (axis in self.planes and 0 <= level < len(self.planes[axis]) and 0 <= index < self.finest.shape[axis]):
            raise OptionError("no such plane")
        at = self.planes[axis][level]
        if not all(0 <= one < -(-length // TILE) for one, length in zip((row, column), at.shape, strict=True)):
            raise OptionError("no such tile")
        ranges = []
        for number, length in zip((row, column), at.shape, strict=True):
            first, end = number * TILE - BORDER, min((number + 1) * TILE, length) + BORDER
            ranges.append((max(0, first), min(length, end), max(0, -first), max(0, end - length)))
        rows, columns = (slice(first, end) for first, end, _, _ in ranges)
        values = self.pixels(axis, level, index, rows, columns)
        return np.pad(self._sent(values), [(before, after) for _, _, before, after in ranges], mode="edge")

    def pixels(self, axis: int, level: int, index: int, rows: slice, columns: slice) -> NDArray[Any]:
        """Return the values of a part of a plane in pixels of one of its levels; see `tile`."""
        at = self.planes[axis][level]
        own = self.own[at.own]
        along = own.nearest(axis, self.finest.edge(axis) + (index + 0.5) * self.finest.spacing[axis])
        limits = [own.shape[one] for one in IN_PLANE[axis]]
        tall, wide = (
            slice(one.start * factor, min(one.stop * factor, limit))
            for one, factor, limit in zip((rows, columns), at.factors, limits, strict=True)
        )
        return reduced(self._region(at.own, axis, along or 0, tall, wide), at.factors)

    def value(self, position: Sequence[float]) -> float | None:
        """Return the voxel that holds a position (x, y, z) of the frame in mm; None outside and where nothing is."""
        found = [self.finest.nearest(axis, position[2 - axis]) for axis in range(3)]
        z, y, x = found
        if z is None or y is None or x is None:
            return None
        axis = self.finest.slices_along or 0
        down, across = (found[one] or 0 for one in IN_PLANE[axis])
        region = self._region(0, axis, found[axis] or 0, slice(down, down + 1), slice(across, across + 1))
        value = float(region[0, 0])
        return value if math.isfinite(value) else None

    def described(self) -> dict[str, list[dict[str, Any]]]:
        """Return the levels of every plane as a page needs them, by its normal."""
        return {
            str(axis): [{"shape": list(one.shape), "edge": list(one.edge), "pixel": list(one.pixel)} for one in levels]
            for axis, levels in self.planes.items()
        }

    def forget(self) -> None:
        """Read everything anew from now on."""
        self._cache.forget(lambda key: key[0] == self._name)

    def _levels_of(self, axis: int) -> tuple[PlaneLevel, ...]:
        found = []
        for number, own in enumerate(self.own):
            if _bytes_of_plane(own, axis) <= MOST_BYTES_ACROSS:
                found.append(_level(own, number, axis, (1, 1)))
        while found and max(found[-1].shape) > COARSEST:
            last = found[-1]
            found.append(_level(self.own[last.own], last.own, axis, _doubled(last)))
        return tuple(found)

    def _region(self, number: int, axis: int, index: int, rows: slice, columns: slice) -> NDArray[Any]:
        """Pixels of a plane of one of the volume's own levels; whole blocks of the file's slices are kept."""
        own = self.own[number]
        if own.slices_along != axis:
            return _plane(own, axis, index, rows, columns)
        # One thread reads, so that what neighbouring tiles share is read once; the library decodes with several.
        with self._reading:
            return self._of_blocks(number, index, rows, columns)

    def _of_blocks(self, number: int, index: int, rows: slice, columns: slice) -> NDArray[Any]:
        """Part of one of the file's slices, put together from blocks that are held and those that have to be read."""
        own = self.own[number]
        down, across = (own.shape[one] for one in IN_PLANE[own.normal])
        tops = range(rows.start // TILE * TILE, rows.stop, TILE)
        lefts = range(columns.start // TILE * TILE, columns.stop, TILE)
        blocks = {
            (top, left): self._cache.held((self._name, number, index, top, left)) for top in tops for left in lefts
        }
        missing = [place for place, block in blocks.items() if block is None]
        if missing:
            top, left = min(one[0] for one in missing), min(one[1] for one in missing)
            bottom = min(down, max(one[0] for one in missing) + TILE)
            right = min(across, max(one[1] for one in missing) + TILE)
            read = _plane(own, own.normal, index, slice(top, bottom), slice(left, right))
            for place in missing:
                cut = read[place[0] - top :, place[1] - left :][:TILE, :TILE].copy()
                blocks[place] = self._cache.keep((self._name, number, index, *place), cut)
        made: NDArray[Any] = np.empty((rows.stop - rows.start, columns.stop - columns.start), own.dtype)
        for (top, left), block in blocks.items():
            assert block is not None
            to_rows, of_rows = _overlap(rows, top, len(block))
            to_columns, of_columns = _overlap(columns, left, block.shape[1])
            made[to_rows, to_columns] = block[of_rows, of_columns]
        return made

    def _sent(self, values: NDArray[Any]) -> NDArray[Any]:
        if self.wire == "float32":
            return values.astype(np.float32, copy=False)
        return as_int16(values)


def _overlap(wanted: slice, first: int, length: int) -> tuple[slice, slice]:
    """Where a run of pixels and a block of `length` from `first` on overlap, counted in the run and in the block."""
    begin, end = max(wanted.start, first), min(wanted.stop, first + length)
    return slice(begin - wanted.start, end - wanted.start), slice(begin - first, end - first)


def as_int16(values: NDArray[Any]) -> NDArray[np.int16]:
    """Whole numbers that fit, none of which is `NOTHING`."""
    whole = values if values.dtype.kind in "iu" else np.rint(values)
    return np.maximum(whole.astype(np.int16), np.int16(NOTHING + 1))


def reduced(values: NDArray[Any], factors: tuple[int, int]) -> NDArray[Any]:
    """Means of blocks of the last two axes; the last block of a row or column holds what is left."""
    if factors == (1, 1):
        return values
    summed: NDArray[Any] = values.astype(np.float32)
    for axis, factor in zip((-2, -1), factors, strict=True):
        if factor > 1:
            length = summed.shape[axis]
            starts = np.arange(0, length, factor)
            counts = np.diff(np.append(starts, length)).astype(np.float32)
            shape = (-1, 1) if axis == -2 else (-1,)
            if length % factor == 0:
                split = (*summed.shape[:axis], len(starts), factor, *summed.shape[axis:][1:])
                summed = summed.reshape(split).mean(axis=axis, dtype=np.float32)
            else:
                summed = np.add.reduceat(summed, starts, axis=axis) / counts.reshape(shape)
    return summed


def _plane(own: Placed, axis: int, index: int, rows: slice, columns: slice) -> NDArray[Any]:
    block = [slice(index, index + 1)] * 3
    block[IN_PLANE[axis][0]], block[IN_PLANE[axis][1]] = rows, columns
    return np.ascontiguousarray(own.read((block[0], block[1], block[2])).squeeze(axis))


def _bytes_of_plane(own: Placed, axis: int) -> int:
    """Bytes that are read for a whole plane: of its own pixels, or of the rows of blocks in every slice it cuts."""
    if own.slices_along is None or own.slices_along == axis:
        return 0
    across = [own.shape[one] for one in range(3) if one not in (own.slices_along, axis)]
    return own.shape[own.slices_along] * across[0] * min(TILE, own.shape[axis]) * own.dtype.itemsize


def _level(own: Placed, number: int, axis: int, factors: tuple[int, int]) -> PlaneLevel:
    (down, across), (tall, wide) = IN_PLANE[axis], factors
    return PlaneLevel(
        own=number,
        factors=factors,
        shape=(-(-own.shape[down] // tall), -(-own.shape[across] // wide)),
        edge=(own.edge(down), own.edge(across)),
        pixel=(own.spacing[down] * tall, own.spacing[across] * wide),
    )


def _doubled(level: PlaneLevel) -> tuple[int, int]:
    (tall, wide), (height, width) = level.factors, level.pixel
    return (
        tall * (1 if height > ALIKE * width else 2),
        wide * (1 if width > ALIKE * height else 2),
    )
