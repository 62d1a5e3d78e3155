"""A branch of a tree: a curved middle line along which radius and wall change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctloupe.phantom.anatomies.lung_parts.trees import Kind
from ctloupe.phantom.tubes import Tube, point

Vector = NDArray[np.float64]

POINTS = 11
"""Points of every middle line."""
ALONG = np.linspace(0.0, 1.0, POINTS)


@dataclass(frozen=True, kw_only=True)
class CurvedBranch:
    """One unbranched tube.

    Attributes
    ----------
    kind : "airway", "artery" or "vein"
        Tree that it belongs to.
    parent
        Index of the parent in the list that holds this branch; −1 for a root.
    path : (n, 3) in mm
        Points (z, y, x) of the middle line from the centre of voxel [0, 0, 0].
    radii : (n,) in mm
        Inner radius at each point; it falls along the branch.
    walls : (n,) in mm
        Mean thickness of the wall around each point; 0 where there is none.
    shifts : (n, 3) in mm
        Displacement of the outside against the inside, which makes the wall thicker on one side.
    """

    kind: Kind
    parent: int
    path: Vector
    radii: Vector
    walls: Vector
    shifts: Vector

    def inside(self) -> list[Tube]:
        """Tubes that make up the inside, end to end."""
        return _chain(self.path, self.radii)

    def outside(self) -> list[Tube]:
        """Tubes that make up inside and wall, end to end."""
        return _chain(self.path + self.shifts, self.radii + self.walls)

    def length(self) -> float:
        """Length of the middle line in mm."""
        return float(np.linalg.norm(np.diff(self.path, axis=0), axis=1).sum())

    def tortuosity(self) -> float:
        """Length of the middle line over the distance of its ends; 1 is straight."""
        return self.length() / max(float(np.linalg.norm(self.path[-1] - self.path[0])), 1e-9)


def _chain(path: Vector, radii: Vector) -> list[Tube]:
    ends = zip(path[:-1], path[1:], radii[:-1], radii[1:], strict=True)
    return [Tube(point(start), point(end), float(first), float(last)) for start, end, first, last in ends]
