"""Structures found slice by slice, put on a grid of cubes and made whole between slices, one block at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import Setting

Flags = NDArray[np.bool_]

CORE: Final = (64, 256, 256)
"""Cubes (z, y, x) that are thinned at once."""

MARGIN: Final = 32
"""Cubes around them that are looked at and not counted, so that no centreline knows where blocks end."""


class Cubes:
    """A structure, gathered slice by slice, on a grid of cubes.

    One bit a square of a slice is kept, and blocks are made whole when they are asked for.

    Parameters
    ----------
    setting
        What is compared where.
    finest
        Longest edge of a cube in mm, where pixels allow it.
    reach
        That of `whole_between_slices` in mm.
    """

    def __init__(self, setting: Setting, finest: float, reach: float) -> None:
        self._setting, self._reach = setting, reach
        self._merged = max(1, int(finest / setting.spacing[0] + 1e-6))
        self.edge = self._merged * setting.spacing[0]
        self._planes: dict[int, NDArray[np.uint8]] = {}
        self._square = (0, 0)

    def __contains__(self, z: int) -> bool:
        return z in self._planes

    def add(self, z: int, flags: Flags) -> None:
        """Take the structure in slice `z` into account: a square is inside where half of its pixels are."""
        squares = _merged(flags[self._setting.box], self._merged)
        self._square = squares.shape
        self._planes[z] = np.packbits(squares)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of cubes, from the middle of the first slice to that of the last."""
        deep = (max(self._planes) - min(self._planes)) * self._setting.slice_spacing
        return (int(deep / self.edge + 1e-6) + 1, *self._square)

    def blocks(self) -> Iterator[Block]:
        """Cut the grid into blocks."""
        for corner in product(*(range(0, length, core) for length, core in zip(self.shape, CORE, strict=True))):
            yield Block.of(corner, self.shape)

    def whole(self, block: Block) -> Flags:
        """The structure in a block and its margin."""
        first, step = min(self._planes), self.edge / self._setting.slice_spacing
        z = np.arange(block.outer[0].start, block.outer[0].stop) * step
        below, above = int(z[0]), min(int(z[-1]) + 1, max(self._planes) - first)
        planes = [self._plane(first + one)[block.outer[1:]] for one in range(below, above + 1)]
        return whole_between_slices(planes, z - below, self.edge, self._reach)

    def _plane(self, z: int) -> Flags:
        if z not in self._planes:
            return np.zeros(self._square, bool)
        count = self._square[0] * self._square[1]
        return np.unpackbits(self._planes[z], count=count).astype(bool).reshape(self._square)


def _merged(flags: Flags, side: int) -> Flags:
    """Squares of so many pixels of which half or more are set; what lies beyond the last row or column is not."""
    if side == 1:
        return flags
    over = [(0, -length % side) for length in flags.shape]
    counted = np.pad(flags, over).astype(np.uint16)
    for axis in range(2):
        counted = np.add.reduce([counted.take(range(at, counted.shape[axis], side), axis) for at in range(side)])
    squares: Flags = 2 * counted >= side**2
    return squares


@dataclass(frozen=True)
class Block:
    """A part of a grid of cubes.

    Attributes
    ----------
    corner
        Where it begins.
    outer
        What is looked at: the block and its margin.
    """

    corner: tuple[int, ...]
    outer: tuple[slice, slice, slice]

    @classmethod
    def of(cls, corner: tuple[int, ...], shape: tuple[int, int, int]) -> Block:
        """The block that begins at a corner of a grid of that shape."""
        z, y, x = (
            slice(max(0, at - MARGIN), min(length, at + core + MARGIN))
            for at, core, length in zip(corner, CORE, shape, strict=True)
        )
        return cls(corner, (z, y, x))

    def counts(self, cubes: NDArray[np.intp]) -> Flags:
        """Whether cubes, counted from the corner of the margin, lie in the block itself."""
        at = cubes + [one.start for one in self.outer] - self.corner
        inside: Flags = ((at >= 0) & (at < CORE)).all(1)
        return inside


def whole_between_slices(
    planes: Sequence[Flags], positions: NDArray[np.float64], edge: float, reach: float
) -> NDArray[np.bool_]:
    """Put slices between slices by their shapes (Raya and Udupa, IEEE Trans Med Imaging 9, 1990).

    Distances to the border, positive inside, go over linearly from one slice to the next; what is then positive is
    inside. Cavities are filled, since they are no part of a tube.

    Parameters
    ----------
    planes : (y, x) each
        The structure in every slice.
    positions : (n,)
        Where slices are wanted, counted in slices: 0.5 lies half-way between the first two.
    edge
        Edge of a pixel in mm.
    reach
        Distance in mm beyond which all is alike, so that what is in one slice only ends half-way to the next.

    Returns
    -------
    bool (n, y, x)
    """
    depths = [_depth(plane, edge, reach) for plane in planes]
    below = np.clip(positions.astype(int), 0, len(planes) - 1)
    above = np.minimum(below + 1, len(planes) - 1)
    found = np.stack(
        [
            (1 - share) * depths[one] + share * depths[other] > 0
            for one, other, share in zip(below, above, positions - below, strict=True)
        ]
    )
    return _without_cavities(found)


def _without_cavities(flags: Flags) -> Flags:
    """The same with everything filled that cannot be reached from a face of the block."""
    regions, count = label(~flags)
    inside = np.ones(count + 1, bool)
    for axis in range(flags.ndim):
        for face in (0, -1):
            inside[np.unique(np.take(regions, face, axis))] = False
    inside[0] = True
    filled: Flags = inside[regions]
    return filled


def _depth(plane: Flags, edge: float, reach: float) -> NDArray[np.float32]:
    if plane.all() or not plane.any():
        return np.full(plane.shape, reach if plane.all() else -reach, np.float32)
    steps = int(reach / edge) + 1
    length = np.minimum(edge * np.sqrt(np.arange((steps + 1) ** 2 + 1)), reach).astype(np.float32)
    inside, outside = (length[squared_distances(one, steps)] for one in (plane, ~plane))
    return inside - outside


def squared_distances(flags: Flags, steps: int) -> NDArray[np.uint16]:
    """Measure how far flags are from the nearest place without one, as far as that is a few steps.

    One axis after the other, a place takes the least of its neighbours' squares and those of the way to them: what
    `scipy.ndimage.distance_transform_edt` measures over any distance, in a fraction of the time.

    Parameters
    ----------
    flags : (..., y, x)
    steps
        Number of steps up to which distances are measured, 180 at most.

    Returns
    -------
    (..., y, x)
        Squared distance in steps; ``(steps + 1)²`` where it is that or more.
    """
    most = (steps + 1) ** 2
    found: NDArray[np.uint16] = np.where(flags, np.uint16(most), np.uint16(0))
    for axis in range(flags.ndim):
        before = np.moveaxis(found, axis, 0)
        after = before.copy(order="K")
        for step in range(1, min(steps + 1, len(before))):
            way = before + np.uint16(step**2)
            np.minimum(after[step:], way[:-step], out=after[step:])
            np.minimum(after[:-step], way[step:], out=after[:-step])
        found = np.moveaxis(after, 0, axis)
    return found
