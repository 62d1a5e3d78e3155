"""Trees that fill a region: airways, the arteries beside them, and veins.

A branch grows towards the part of the lung that it supplies and splits that part in two (the supply-region idea
of Kitaoka et al., J Appl Physiol 87, 1999). A child that supplies the share w of its parent's region has
w^(1/3) of its diameter (Murray's law), 0.79 for an even split.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctloupe.phantom.tubes import Tube, point

Kind = Literal["airway", "artery", "vein"]
Vector = NDArray[np.float64]

MIN_WALL_MM = 0.1
_MIN_ANGLE, _MAX_ANGLE = np.deg2rad(25.0), np.deg2rad(45.0)
_SAMPLES = np.linspace(0.15, 1.0, 6)[:, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch(Tube):
    """One unbranched, tapered tube of a tree.

    Attributes
    ----------
    kind : "airway", "artery" or "vein"
        Tree that it belongs to.
    parent
        Index of the parent in the list that holds this branch; −1 for a root.
    """

    kind: Kind
    parent: int


@dataclass(slots=True)
class _Bud:
    parent: int
    tip: Vector
    direction: Vector
    radius: float
    supply: Vector


def grow_tree(
    kind: Kind,
    supply: Vector,
    root: Vector,
    direction: Vector,
    radius: float,
    smallest: float,
    rng: np.random.Generator,
    snap: Callable[[Vector], Vector] | None = None,
) -> list[Branch]:
    """Grow one tree into a region.

    Parameters
    ----------
    kind
        Kind of every branch; airways have walls.
    supply : (n, 3) in mm
        Points spread over the region to be supplied.
    root : (3,) in mm
        Where the trunk starts.
    direction : (3,)
        Unit direction of the trunk.
    radius
        Radius of the trunk in mm.
    smallest
        Radius in mm below which branches end.
    rng
        Decides lengths, angles and how regions are split.
    snap
        Moves the end of each branch, for instance on to a septum.

    Returns
    -------
    list of Branch
        Every parent comes before its children; the trunk is first.
    """
    low, high = supply.min(axis=0), supply.max(axis=0)
    branches: list[Branch] = []
    buds = deque([_Bud(-1, root, direction, radius, supply)])
    while buds:
        bud = buds.popleft()
        heading = bud.direction if bud.parent < 0 else _turned(bud, rng)
        reach = 0.4 * float(np.linalg.norm(bud.supply.mean(axis=0) - bud.tip))
        length = float(np.clip(reach, 4.0 * bud.radius, 9.0 * bud.radius)) * rng.uniform(0.85, 1.15)
        end = bud.tip + length * heading
        if snap is not None:
            end = snap(end)
            heading = (end - bud.tip) / max(float(np.linalg.norm(end - bud.tip)), 1e-6)
        if bud.parent >= 0 and (np.any(end < low) or np.any(end > high)):
            continue
        radius_end = bud.radius * rng.uniform(0.92, 0.98)
        wall = _wall(bud.radius, rng) if kind == "airway" else 0.0
        branches.append(Branch(point(bud.tip), point(end), bud.radius, radius_end, wall, kind=kind, parent=bud.parent))
        if len(bud.supply) < 4:
            continue
        for part in _split(bud.supply, heading, rng):
            share = len(part) / len(bud.supply)
            child = min(bud.radius * share ** (1 / 3) * rng.normal(1.0, 0.03), radius_end)
            if child >= smallest:
                buds.append(_Bud(len(branches) - 1, end, heading, float(child), part))
    return branches


def _wall(radius: float, rng: np.random.Generator) -> float:
    part = rng.uniform(0.10, 0.14)
    return max(MIN_WALL_MM, part * 2 * radius / (1 - 2 * part))


def _turned(bud: _Bud, rng: np.random.Generator) -> Vector:
    """Unit direction towards the supplied region, 25 to 45 degrees off the parent's."""
    wish = bud.supply.mean(axis=0) - bud.tip + rng.normal(0.0, 0.2 * bud.radius, 3)
    across = wish - (wish @ bud.direction) * bud.direction
    size = float(np.linalg.norm(across))
    across = across / size if size > 1e-9 else perpendicular(bud.direction)
    angle = np.clip(np.arctan2(size, wish @ bud.direction), _MIN_ANGLE, _MAX_ANGLE)
    return np.cos(angle) * bud.direction + np.sin(angle) * across


def perpendicular(direction: Vector) -> Vector:
    """A unit vector at right angles to `direction`."""
    other = np.cross(direction, np.eye(3)[int(np.argmin(np.abs(direction)))])
    return other / np.linalg.norm(other)


def _split(supply: Vector, heading: Vector, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Two parts either side of a plane along `heading`, across the widest extent of the region."""
    centred = supply - supply.mean(axis=0)
    flat = centred - np.outer(centred @ heading, heading)
    _, axes = np.linalg.eigh(flat.T @ flat)
    along = flat @ axes[:, -1]
    side = along < np.quantile(along, rng.uniform(0.36, 0.64))
    return supply[side], supply[~side]


def accompanying_arteries(airways: Sequence[Branch], rng: np.random.Generator) -> list[Branch]:
    """One artery beside each airway, of about its lumen's diameter and clear of its wall.

    Each branch chooses, among twelve sides of its airway, the one that keeps it clear of airway, parent and
    sibling at the least twist. The returned list is indexed as `airways` is.
    """
    children: dict[int, list[int]] = {}
    for index, airway in enumerate(airways):
        children.setdefault(airway.parent, []).append(index)
    sides: list[Vector] = []
    arteries: list[Branch] = []
    for airway in airways:
        radius = airway.radius_start * float(rng.uniform(0.85, 1.05))
        parent = arteries[airway.parent] if airway.parent >= 0 else None
        if parent is not None:
            radius = min(radius, parent.radius_end)
        radius_end = radius * airway.radius_end / airway.radius_start
        axis = np.subtract(airway.end, airway.start)
        axis = axis / np.linalg.norm(axis)
        old = sides[airway.parent] if parent is not None else perpendicular(axis)
        gap = 1.05 * (airway.radius_start + airway.wall + radius)
        start = np.array(parent.end) if parent is not None else np.array(airway.start) + old * gap
        family = [airways[index] for index in children[airway.parent]]
        family += [airways[airway.parent]] if parent is not None else []
        side = _clear_side(start, airway, axis, old, radius, family)
        end = np.array(airway.end) + side * 1.05 * (airway.radius_end + airway.wall + radius_end)
        sides.append(side)
        arteries.append(Branch(point(start), point(end), radius, radius_end, kind="artery", parent=airway.parent))
    return arteries


def _clear_side(
    start: Vector, airway: Branch, axis: Vector, old: Vector, radius: float, family: Sequence[Branch]
) -> Vector:
    carried = old - (old @ axis) * axis
    size = float(np.linalg.norm(carried))
    carried = carried / size if size > 1e-3 else perpendicular(axis)
    angles = np.arange(12) * (np.pi / 6)
    sides = np.cos(angles)[:, None] * carried + np.sin(angles)[:, None] * np.cross(axis, carried)
    ends = np.array(airway.end) + sides * 1.05 * (airway.radius_end + airway.wall + radius)
    path = start + _SAMPLES[:, None] * (ends - start)
    clear = np.full(len(angles), np.inf)
    for other in family:
        gap = _distance(path, np.array(other.start), np.array(other.end)) - other.radius_start - other.wall
        clear = np.minimum(clear, gap.min(axis=0))
    twist = 1 - np.cos(angles)
    return sides[int(np.argmax(np.minimum(clear, radius) - 0.1 * radius * twist))]


def _distance(points: Vector, start: Vector, end: Vector) -> Vector:
    axis = end - start
    along = np.clip((points - start) @ axis / max(float(axis @ axis), 1e-12), 0, 1)
    return np.linalg.norm(points - start - along[..., None] * axis, axis=-1)
