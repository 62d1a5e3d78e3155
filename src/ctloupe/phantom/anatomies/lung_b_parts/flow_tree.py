"""Trees that grow by flow: a branch divides what it carries unevenly, and its children turn accordingly.

Radii follow Murray's law, r³ = r₁³ + r₂³ (J Gen Physiol 9, 1926); the angles are those at which a junction has the
least volume, cos θ₁ = (r⁴ + r₁⁴ − r₂⁴) / (2 r² r₁²) (Murray, ibid.; Zamir, J Gen Physiol 67, 1976). The thicker
child goes nearly straight on, the thinner turns away.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ctloupe.phantom.anatomies.lung_b_parts.curved_branch import ALONG, POINTS, CurvedBranch, Vector
from ctloupe.phantom.anatomies.lung_b_parts.occupied import Occupied
from ctloupe.phantom.anatomies.lung_parts.trees import Kind, perpendicular

MIN_WALL_MM = 0.09
_LENGTH = 6.5
_FORESIGHT = 2.5
_CLEAR = 2.5
# Radius of an airway together with its artery, over the airway's.
_BUNDLE = 2.5
_WITH_WALL = 1.3
# Losing a branch thicker than this would lose too much of its tree.
_MAY_CROSS_MM = 0.6
_AZIMUTHS = 12
_TRIES = 6
_AHEAD = 1.3
_STEEPEST = np.deg2rad(75.0)


@dataclass(frozen=True, slots=True)
class Bud:
    """Where a branch is going to grow.

    Attributes
    ----------
    kind
        Kind of the branch; airways have walls.
    parent
        Index of the parent among all branches that have grown; −1 for a trunk.
    tip : (3,) in mm
        Where it starts.
    heading, towards : (3,)
        Unit directions in which it leaves its parent, and into which it soon turns.
    radius
        Radius at its start in mm.
    """

    kind: Kind
    parent: int
    tip: Vector
    heading: Vector
    towards: Vector
    radius: float


def grow_by_flow(
    trunks: Sequence[Bud], low: Vector, high: Vector, smallest: float, rng: np.random.Generator
) -> list[CurvedBranch]:
    """Grow trees side by side inside a box, each spreading out and all keeping clear of each other.

    Parameters
    ----------
    trunks
        Trunks of the trees; several of one kind make one tree's worth of branches, which spread out together.
    low, high : (3,) in mm
        Corners of the box. A branch that would end outside is not there, nor is a thin one that would run through a
        branch of another kind.
    smallest
        Radius in mm below which branches end.
    rng
        Decides everything random.

    Returns
    -------
    list of CurvedBranch
        Branches of all trees mixed, the thickest first; every parent comes before its children.
    """
    branches: list[CurvedBranch] = []
    occupied = {one.kind: Occupied(low, high) for one in trunks}
    # Thick branches first, so that thin ones find their way between them; equal ones as they came.
    buds = [(-one.radius, number, one) for number, one in enumerate(trunks)]
    heapq.heapify(buds)
    number = len(buds)
    while buds:
        bud = heapq.heappop(buds)[2]
        path = _path(bud, low, high, list(occupied.values()), rng)
        others = [one for kind, one in occupied.items() if kind != bud.kind]
        if bud.parent >= 0 and not _possible(bud, path, low, high, others):
            continue
        radii = bud.radius * (1 - rng.uniform(0.03, 0.15) * ALONG)
        children = np.minimum(bud.radius * np.cbrt(_shares(rng)), radii[-1])
        if children.max() < smallest:
            radii = bud.radius * (1 - 0.5 * ALONG**2)
        walls, shifts = _wall(path, radii, rng) if bud.kind == "airway" else (np.zeros(POINTS), np.zeros((POINTS, 3)))
        branches.append(
            CurvedBranch(kind=bud.kind, parent=bud.parent, path=path, radii=radii, walls=walls, shifts=shifts)
        )
        occupied[bud.kind].add(path, radii * (_BUNDLE if bud.kind == "airway" else 1))
        ending = path[-1] - path[-2]
        ending /= np.linalg.norm(ending)
        turned = _directions(path[-1], ending, bud.radius, children, occupied[bud.kind], rng)
        for child, direction in zip(children, turned, strict=True):
            if child >= smallest:
                bent = ending + direction
                bent /= np.linalg.norm(bent)
                sprout = Bud(bud.kind, len(branches) - 1, path[-1], bent, direction, float(child))
                heapq.heappush(buds, (-sprout.radius, number, sprout))
                number += 1
    return branches


def _shares(rng: np.random.Generator) -> Vector:
    """Shares of the flow of two children; one is rarely half of it."""
    smaller = rng.uniform(0.15, 0.5)
    return np.array([1 - smaller, smaller])


def _angles(radius: float, children: Vector, rng: np.random.Generator) -> Vector:
    """Angles of both children off their parent's direction, of least volume and a few degrees off it."""
    one, other = children / radius
    cosines = np.array([(1 + one**4 - other**4) / (2 * one**2), (1 + other**4 - one**4) / (2 * other**2)])
    angles: Vector = np.arccos(np.clip(cosines, -1, 1)) + rng.normal(0, np.deg2rad(5), 2)
    return np.clip(angles, np.deg2rad(5), _STEEPEST)


def _directions(
    tip: Vector,
    heading: Vector,
    radius: float,
    children: Vector,
    own: Occupied,
    rng: np.random.Generator,
) -> Vector:
    """Unit directions of both children, in the plane that leads them to the most room."""
    angles = _angles(radius, children, rng)
    across = perpendicular(heading)
    turns = rng.uniform(0, 2 * np.pi) + np.arange(_AZIMUTHS) * (2 * np.pi / _AZIMUTHS)
    sides = np.cos(turns)[:, None] * across + np.sin(turns)[:, None] * np.cross(heading, across)
    signed = sides[:, None] * np.array([1.0, -1.0])[:, None]
    directions = np.cos(angles)[:, None] * heading + np.sin(angles)[:, None] * signed
    probes = tip + directions * (_FORESIGHT * _LENGTH * children)[:, None]
    room = np.minimum(own.room(probes), _LENGTH * children)
    found: Vector = directions[int(np.argmax(room @ children**2))]
    return found


def _path(bud: Bud, low: Vector, high: Vector, occupied: Sequence[Occupied], rng: np.random.Generator) -> Vector:
    """A curved middle line from where the parent ends into the bud's direction: of a few, the one with most room."""
    length = _LENGTH * bud.radius * rng.lognormal(0, 0.25)
    if bud.parent >= 0:
        bud = replace(bud, towards=_kept_inside(bud.tip, bud.towards, length, low, high))
    tries = np.stack([_curve(bud, length, rng) for _ in range(_TRIES)])
    ends = tries[:, POINTS // 2 :: 2]
    room = np.minimum.reduce([one.room(ends) for one in occupied])
    room = np.minimum(room, _CLEAR * bud.radius).min(axis=-1)
    chosen: Vector = tries[int(np.argmax(room))]
    return chosen


def _possible(bud: Bud, path: Vector, low: Vector, high: Vector, others: Sequence[Occupied]) -> bool:
    inside = bool(np.all(path[-1] >= low) and np.all(path[-1] <= high))
    gap = min((float(one.gap(path[2:]).min()) for one in others), default=np.inf)
    return inside and (gap > _WITH_WALL * bud.radius or bud.radius > _MAY_CROSS_MM)


def _kept_inside(tip: Vector, towards: Vector, length: float, low: Vector, high: Vector) -> Vector:
    """The direction turned off the sides of the box, as the pleura turns branches aside."""
    aim = np.clip(tip + _AHEAD * length * towards, low, high) - tip
    size = float(np.linalg.norm(aim))
    return aim / size if size > 0.3 * length else towards


def _curve(bud: Bud, length: float, rng: np.random.Generator) -> Vector:
    """A line whose direction turns from `heading` to `towards` and sways, first one way and then perhaps the other."""
    sway, turn = rng.normal(0, 0.35, (2, 3))
    part = ALONG[:, None]
    settled = np.clip(3 * part, 0, 1)
    direction = (1 - settled) * bud.heading + settled * bud.towards
    direction = direction + np.sin(np.pi * part) * sway + part**2 * turn
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    steps = (direction[:-1] + direction[1:]) * (length / (2 * (POINTS - 1)))
    return bud.tip + np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])


def _wall(path: Vector, radii: Vector, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Thickness of a wall along a branch, and which way the outside is shifted."""
    share = 0.12 * rng.lognormal(0, 0.2)
    waves = rng.normal(0, 0.18, 2) @ np.sin(np.pi * np.outer([1.5, 3.5], ALONG) + rng.uniform(0, 2 * np.pi, (2, 1)))
    walls = np.maximum(2 * share / (1 - 2 * share) * radii, MIN_WALL_MM) * np.clip(1 + waves, 0.6, 1.6)
    axis = path[-1] - path[0]
    one = perpendicular(axis / max(float(np.linalg.norm(axis)), 1e-9))
    other = np.cross(axis, one) / max(float(np.linalg.norm(axis)), 1e-9)
    angle = rng.uniform(0, 2 * np.pi) + rng.normal(0, 1.5) * ALONG
    side = np.cos(angle)[:, None] * one + np.sin(angle)[:, None] * other
    return walls, side * (walls * rng.uniform(0.15, 0.55))[:, None]
