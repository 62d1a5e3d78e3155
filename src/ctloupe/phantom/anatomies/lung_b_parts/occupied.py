"""Where there are branches already, for those that grow to keep away from."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from ctloupe.phantom.anatomies.lung_b_parts.curved_branch import Vector

_UNSORTED = 256
_FAR = 1e6


class Occupied:
    """Points of middle lines with their radii, in a box.

    Points are searched in a tree that is built anew whenever a few hundred have come since.

    Parameters
    ----------
    low, high : (3,) in mm
        Corners of the box, whose sides are kept away from too.
    """

    def __init__(self, low: Vector, high: Vector) -> None:
        self.low, self.high = low, high
        self._sorted, self._sorted_radii = cKDTree(np.full((1, 3), _FAR)), np.zeros(1)
        self._recent, self._recent_radii = np.full((_UNSORTED, 3), _FAR), np.zeros(_UNSORTED)
        self._count = 0

    def add(self, path: Vector, radii: Vector) -> None:
        """Add a middle line (n, 3) and its radii (n,), in mm."""
        end = self._count + len(path)
        if end > _UNSORTED:
            self._sorted = cKDTree(np.concatenate([self._sorted.data, self._recent[: self._count], path]))
            self._sorted_radii = np.concatenate([self._sorted_radii, self._recent_radii[: self._count], radii])
            self._recent[:], self._count = _FAR, 0
        else:
            self._recent[self._count : end], self._recent_radii[self._count : end] = path, radii
            self._count = end

    def gap(self, points: Vector) -> Vector:
        """Distance in mm of `points` (..., 3) to the surface of the branch whose middle line is nearest."""
        away, index = self._sorted.query(points)
        gap = cdist(points.reshape(-1, 3), self._recent) - self._recent_radii
        found: Vector = np.minimum(away - self._sorted_radii[index], gap.min(axis=-1).reshape(away.shape))
        return found

    def room(self, points: Vector) -> Vector:
        """The gap of `points` (..., 3), or their distance to the box's sides where less, in mm; negative outside."""
        sides = np.minimum(points - self.low, self.high - points).min(axis=-1)
        found: Vector = np.minimum(self.gap(points), sides)
        return found
