"""Airways, the arteries that run beside them, and veins that keep away from both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ctloupe.phantom.anatomies.lung_b_parts.curved_branch import ALONG, POINTS, CurvedBranch, Vector
from ctloupe.phantom.anatomies.lung_b_parts.flow_tree import Bud, grow_by_flow
from ctloupe.phantom.anatomies.lung_parts.trees import Kind, perpendicular

SMALLEST_RADIUS_MM = 0.12
_TRUNK_OF_EXTENT = 0.04
# A second trunk of each tree, over the first: a block rarely has all from one side.
_SECOND_TRUNK = 0.7


def bundles_and_veins(low: Vector, high: Vector, extent: Vector, rng: np.random.Generator) -> list[CurvedBranch]:
    """All three trees.

    Parameters
    ----------
    low, high : (z, y, x) in mm
        Box that the trees fill.
    extent : (z, y, x) in mm
        Size of the block that is drawn, which decides how thick the trunks are.
    rng
        Decides everything random.

    Returns
    -------
    list of CurvedBranch
        Airways, arteries and veins one after the other; parents are indices into this list.
    """
    radius = float(np.clip(_TRUNK_OF_EXTENT * extent[1:].max(), 0.35, 1.5))
    trunks = []
    kinds: tuple[Kind, ...] = ("airway", "vein")
    for kind, thick in zip(kinds, (radius, 0.9 * radius), strict=True):
        angle = rng.uniform(0, 2 * np.pi)
        for share, turned in ((1.0, 0.0), (_SECOND_TRUNK, np.pi * rng.uniform(0.5, 1.5))):
            root, heading = _entrance(low, high, angle + turned, rng)
            trunks.append(Bud(kind, -1, root, heading, heading, share * thick))
    grown = grow_by_flow(trunks, low, high, SMALLEST_RADIUS_MM, rng)
    airways, veins = _of_kind(grown, "airway"), _of_kind(grown, "vein")
    found: list[CurvedBranch] = []
    for tree in (airways, beside(airways, rng), veins):
        offset = len(found)
        found += [replace(one, parent=one.parent + offset if one.parent >= 0 else -1) for one in tree]
    return found


def _of_kind(branches: Sequence[CurvedBranch], kind: Kind) -> list[CurvedBranch]:
    """One tree of several that grew together, its parents indexing itself."""
    index = {-1: -1}
    found: list[CurvedBranch] = []
    for number, one in enumerate(branches):
        if one.kind == kind:
            index[number] = len(found)
            found.append(replace(one, parent=index[one.parent]))
    return found


def _entrance(low: Vector, high: Vector, angle: float, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Where a trunk comes in, at a side of the box opposite to `angle`, and its direction, past the middle."""
    middle = (low + high) / 2
    inwards = np.array([0.0, np.sin(angle), np.cos(angle)])
    reach = ((high - low)[1:] / 2 / np.maximum(np.abs(inwards[1:]), 1e-6)).min()
    root = middle - reach * inwards + rng.uniform(-0.15, 0.15, 3) * (high - low)
    aim = middle + rng.uniform(-0.2, 0.2, 3) * (high - low) - root
    return root, aim / np.linalg.norm(aim)


def beside(airways: Sequence[CurvedBranch], rng: np.random.Generator) -> list[CurvedBranch]:
    """One artery along each airway, indexed as `airways` is.

    Where an airway divides, its artery lies on one side of the plane of the division, so that it can follow both
    children without crossing either; from there to the next division it winds round the airway.
    """
    normals = _normals(airways)
    arteries: list[CurvedBranch] = []
    ends: list[Vector] = []
    for index, airway in enumerate(airways):
        before = ends[airway.parent] if airway.parent >= 0 else perpendicular(_unit(airway.path[1] - airway.path[0]))
        after = normals.get(index, before)
        after = after if after @ before >= 0 else -after
        side = (1 - ALONG)[:, None] * before + ALONG[:, None] * after
        tangent = np.gradient(airway.path, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        side -= (side * tangent).sum(axis=1, keepdims=True) * tangent
        side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-6)
        parent = arteries[airway.parent] if airway.parent >= 0 else None
        radii = airway.radii * rng.uniform(0.8, 1.15)
        if parent is not None:
            radii = radii * min(1.0, parent.radii[-1] / radii[0])
        away = airway.radii + airway.walls + np.linalg.norm(airway.shifts, axis=1) + radii
        away = away * (1.03 + 0.25 * rng.random() * np.sin(np.pi * ALONG) ** 2)
        path = airway.path + side * away[:, None]
        if parent is not None:
            path = path + np.clip(1 - 2 * ALONG, 0, 1)[:, None] ** 2 * (parent.path[-1] - path[0])
        ends.append(after)
        bare = {"walls": np.zeros(POINTS), "shifts": np.zeros((POINTS, 3))}
        arteries.append(CurvedBranch(kind="artery", parent=airway.parent, path=path, radii=radii, **bare))
    return arteries


def _normals(airways: Sequence[CurvedBranch]) -> dict[int, Vector]:
    """Unit normal of the plane in which each airway divides, by the airway's index."""
    headings: dict[int, list[Vector]] = {}
    for airway in airways:
        if airway.parent >= 0:
            headings.setdefault(airway.parent, []).append(_unit(airway.path[POINTS // 2] - airway.path[0]))
    found = {}
    for index, children in headings.items():
        other = children[1] if len(children) > 1 else _unit(airways[index].path[-1] - airways[index].path[-2])
        normal = np.cross(children[0], other)
        if np.linalg.norm(normal) > 1e-3:
            found[index] = _unit(normal)
    return found


def _unit(vector: Vector) -> Vector:
    found: Vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return found
