"""The axes that several volumes are looked at in, and where each volume lies in them.

A frame has the axes of one volume, ordered and turned so that they are nearest to the patient's left, back and head.
Positions in it are (x, y, z) in mm, arrays are (z, y, x). A volume whose axes are those of the frame, in whatever order
and sense, keeps its own voxels; any other is interpolated on demand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from ctloupe.volume.geometry import Triple
from ctloupe.volume.volume import Volume

SAME_AXES: Final = 2e-5
"""Largest difference of a direction cosine at which two volumes count as having the same axes: a tenth of a fine voxel
(0.08 mm) at the rim of a chest."""

Block = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Frame:
    """Axes in which volumes are looked at.

    Attributes
    ----------
    axes : (3, 3)
        Columns are the LPS unit vectors of x, y and z of the frame.
    """

    axes: NDArray[np.float64]

    @classmethod
    def of(cls, volume: Volume) -> Frame:
        """The frame of a volume's own axes: x the one nearest to left, y to the back, z to the head."""
        direction = np.asarray(volume.direction)
        order = max(permutations(range(3)), key=lambda one: sum(abs(direction[axis, one[axis]]) for axis in range(3)))
        axes = direction[:, list(order)]
        return cls(axes * np.where(np.diag(axes) < 0, -1.0, 1.0))

    def coordinates(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """Position (x, y, z) in the frame of an LPS point, in mm."""
        return np.asarray(self.axes.T @ point)


@dataclass(frozen=True)
class Placed:
    """A volume in a frame.

    Attributes
    ----------
    shape : (z, y, x)
        Voxels along the axes of the frame.
    spacing : (z, y, x)
        Their distances in mm.
    first : (x, y, z)
        Centre of the first voxel in the frame, in mm.
    dtype
        Type of the voxels.
    normal
        Axis of the frame (0: z) that is normal to the file's own slices.
    slices_along
        The same where whole slices are read whatever is asked for; None where a block costs as much as it has voxels.
    read
        Function from a block in the axes of the frame to its voxels; where the volume has none they are NaN.
    backwards : (z, y, x)
        Whether the file counts voxels the other way along the axes of the frame.
    own_axes
        Whether the voxels are those of the volume, not interpolated ones.
    """

    shape: tuple[int, int, int]
    spacing: Triple
    first: Triple
    dtype: np.dtype[Any]
    normal: int
    slices_along: int | None
    read: Callable[[Block], NDArray[Any]]
    backwards: tuple[bool, bool, bool] = (False, False, False)
    own_axes: bool = True

    def part(self, block: Block) -> Placed:
        """The voxels of a block, at their place; they are read as its own, and counted from its first one."""
        starts = [one.start for one in block]

        def read(inner: Block) -> NDArray[Any]:
            z, y, x = (slice(start + one.start, start + one.stop) for start, one in zip(starts, inner, strict=True))
            return self.read((z, y, x))

        z, y, x = (one.stop - one.start for one in block)
        first = [self.first[axis] + starts[2 - axis] * self.spacing[2 - axis] for axis in range(3)]
        return replace(self, shape=(z, y, x), first=(first[0], first[1], first[2]), read=read)

    def stored(self, axis: int, index: int) -> int:
        """Index in the file of a voxel along an axis (0: z) of the frame."""
        return self.shape[axis] - 1 - index if self.backwards[axis] else index

    def edge(self, axis: int) -> float:
        """Position in mm of the outer face of the first voxel along an axis (0: z) of the frame."""
        return self.first[2 - axis] - self.spacing[axis] / 2

    def nearest(self, axis: int, position: float) -> int | None:
        """Index of the voxel along an axis (0: z) of the frame that holds a position in mm; None: it is outside."""
        index = int(np.floor((position - self.edge(axis)) / self.spacing[axis]))
        return index if 0 <= index < self.shape[axis] else None


def place(volume: Volume, frame: Frame) -> Placed:
    """Lay a volume into a frame."""
    turn = frame.axes.T @ np.asarray(volume.direction)
    order = [int(np.argmax(np.abs(turn[axis]))) for axis in range(3)]
    signs = [float(np.sign(turn[axis, order[axis]])) for axis in range(3)]
    aligned = np.zeros((3, 3))
    aligned[range(3), order] = signs
    if len(set(order)) == 3 and np.abs(turn - aligned).max() <= SAME_AXES:
        return _own_voxels(volume, frame, order, signs)
    return _interpolated(volume, frame)


def _own_voxels(volume: Volume, frame: Frame, order: list[int], signs: list[float]) -> Placed:
    """The volume's own voxels; axis a (x, y, z) of the frame is its axis `order[a]`, in the sense `signs[a]`."""
    stored = [2 - order[2 - axis] for axis in range(3)]
    backwards = [signs[2 - axis] < 0 for axis in range(3)]
    shape = tuple(volume.shape[axis] for axis in stored)
    spacing = tuple(volume.spacing[axis] for axis in stored)
    begin = [0.0, 0.0, 0.0]
    for axis, flipped in zip(stored, backwards, strict=True):
        begin[axis] = volume.shape[axis] - 1.0 if flipped else 0.0
    first = frame.coordinates(volume.physical((begin[0], begin[1], begin[2])))
    sizes = volume.shape

    def read(block: Block) -> NDArray[Any]:
        wanted = [slice(0, 0)] * 3
        for axis, flipped, one in zip(stored, backwards, block, strict=True):
            wanted[axis] = slice(sizes[axis] - one.stop, sizes[axis] - one.start) if flipped else one
        values = np.transpose(np.asarray(volume.data[tuple(wanted)]), stored)
        return values[tuple(slice(None, None, -1) if flipped else slice(None) for flipped in backwards)]

    normal = stored.index(0)
    return Placed(
        (shape[0], shape[1], shape[2]),
        (spacing[0], spacing[1], spacing[2]),
        (float(first[0]), float(first[1]), float(first[2])),
        np.dtype(volume.data.dtype),
        normal,
        None if isinstance(volume.data, np.ndarray) else normal,
        read,
        (backwards[0], backwards[1], backwards[2]),
    )


def _interpolated(volume: Volume, frame: Frame) -> Placed:
    """The volume on a grid along the axes of the frame, about as fine as its own, interpolated linearly."""
    turn = frame.axes.T @ np.asarray(volume.direction)
    own = np.array(volume.spacing[::-1])
    spacing = own[np.argmax(np.abs(turn), axis=1)]
    corners = np.array(
        [
            frame.coordinates(volume.physical((z, y, x)))
            for z in (-0.5, volume.shape[0] - 0.5)
            for y in (-0.5, volume.shape[1] - 0.5)
            for x in (-0.5, volume.shape[2] - 0.5)
        ]
    )
    low, high = corners.min(0), corners.max(0)
    sizes = np.maximum(1, np.ceil((high - low) / spacing - 1e-6)).astype(int)
    first = (low + high) / 2 - (sizes - 1) / 2 * spacing
    to_index = np.linalg.inv(volume.affine)

    def read(block: Block) -> NDArray[Any]:
        z, y, x = (np.arange(one.start, one.stop) for one in block)
        grid = np.meshgrid(z, y, x, indexing="ij")
        positions = np.stack([first[axis] + grid[2 - axis] * spacing[axis] for axis in range(3)])
        points = np.tensordot(frame.axes, positions, 1)
        indices = np.tensordot(to_index[:3, :3], points, 1) + to_index[:3, 3, None, None, None]
        return _at(volume, indices[::-1])

    return Placed(
        (int(sizes[2]), int(sizes[1]), int(sizes[0])),
        (float(spacing[2]), float(spacing[1]), float(spacing[0])),
        (float(first[0]), float(first[1]), float(first[2])),
        np.dtype(np.float32),
        2 - int(np.argmax(np.abs(turn[:, 2]))),
        None,
        read,
        own_axes=False,
    )


def _at(volume: Volume, indices: NDArray[np.float64]) -> NDArray[np.float32]:
    """Voxels at fractional indices (z, y, x), NaN beyond the outer faces; only the part that is needed is read."""
    limits = np.array(volume.shape)[:, None, None, None]
    inside = ((indices >= -0.5) & (indices <= limits - 0.5)).all(0)
    values = np.full(indices.shape[1:], np.nan, np.float32)
    if not inside.any():
        return values
    wanted = indices[:, inside]
    low = np.maximum(0, np.floor(wanted.min(1)).astype(int))
    high = np.minimum(np.array(volume.shape), np.ceil(wanted.max(1)).astype(int) + 1)
    block = np.asarray(volume.data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], np.float32)
    values[inside] = map_coordinates(block, wanted - low[:, None], order=1, mode="nearest")
    return values
