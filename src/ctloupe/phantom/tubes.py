"""Tubes on a voxel grid: tapered capsules that any anatomy can be drawn with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tube:
    """A tapered tube with round ends.

    Attributes
    ----------
    start, end : (z, y, x)
        Ends of its middle line in mm from the centre of voxel [0, 0, 0].
    radius_start, radius_end
        Inner radius at both ends in mm.
    wall
        Thickness of the wall around it in mm.
    """

    start: Point
    end: Point
    radius_start: float
    radius_end: float
    wall: float = 0.0


def point(vector: Vector) -> Point:
    """A vector (z, y, x) as plain numbers."""
    return float(vector[0]), float(vector[1]), float(vector[2])


def draw(
    tubes: Sequence[Tube], shape: tuple[int, int, int], spacing: float, outer: bool = False
) -> NDArray[np.float32]:
    """Share of every voxel inside the tubes, each a tapered capsule, with edges one voxel wide.

    Parameters
    ----------
    tubes
        What is drawn; parts off the grid are cut off.
    shape : (z, y, x)
        Number of voxels.
    spacing
        Edge of the isotropic voxels in mm.
    outer
        Whether the walls are included.

    Returns
    -------
    float32 array of shape (z, y, x)
        Share from 0 (outside of all tubes) to 1.
    """
    share = np.zeros(shape, dtype=np.float32)
    limit = np.array(shape)
    for one in tubes:
        extra = one.wall if outer else 0.0
        start, end = np.array(one.start) / spacing, np.array(one.end) / spacing
        first, last = (one.radius_start + extra) / spacing, (one.radius_end + extra) / spacing
        pad = max(first, last) + 1
        low = np.maximum(np.floor(np.minimum(start, end) - pad).astype(int), 0)
        high = np.minimum(np.ceil(np.maximum(start, end) + pad).astype(int) + 1, limit)
        if np.any(high <= low):
            continue
        block = share[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
        np.maximum(block, _capsule(low, high, start, end, first, last), out=block)
    return share


def _capsule(
    low: NDArray[np.int_], high: NDArray[np.int_], start: Vector, end: Vector, first: float, last: float
) -> NDArray[np.float32]:
    z, y, x = np.ogrid[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    dz, dy, dx = ((axis - begin).astype(np.float32) for axis, begin in zip((z, y, x), start.tolist(), strict=True))
    axis = (end - start).astype(np.float32)
    along = (dz * axis[0] + dy * axis[1] + dx * axis[2]) / max(float(axis @ axis), 1e-6)
    np.clip(along, 0, 1, out=along)
    away = (dz - along * axis[0]) ** 2
    away += (dy - along * axis[1]) ** 2
    away += (dx - along * axis[2]) ** 2
    np.sqrt(away, out=away)
    along *= np.float32(last - first)
    along -= away
    along += np.float32(first + 0.5)
    return np.clip(along, 0, 1, out=along)
