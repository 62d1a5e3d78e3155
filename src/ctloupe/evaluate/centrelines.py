"""Centrelines of tubes: their points, lengths and widths, and where they break."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, find_objects, label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial import cKDTree

from ctloupe.evaluate.compiled.thinning import thinned

Flags = NDArray[np.bool_]
Points = NDArray[np.intp]

NEIGHBOUR: Final = 1.8
"""Distance in steps up to which points touch: by faces, edges and corners (√3), and no further."""

STEP_LENGTHS: Final = np.array([0.0, 0.9016, 1.289, 1.615])
"""Length of a step over a face, an edge and a corner that measures lines of all directions without bias (Kiryati and
Kübler, Pattern Recognition 28, 1995)."""


@dataclass(frozen=True)
class Centreline:
    """Points of a centreline on a grid of cubes.

    Attributes
    ----------
    points : (n, 3)
        Where it goes through, counted in half cubes from the middle of the first.
    lengths : (n,) in mm
        Length that each point stands for; their sum is that of the line.
    widths : (n,) in mm
        Width of the structure there: that of the widest ball around the point that it holds.
    """

    points: Points
    lengths: NDArray[np.float64]
    widths: NDArray[np.float64]

    @classmethod
    def of(cls, flags: Flags, edge: float, least: float = 0.0) -> Centreline:
        """Thin a structure of cubes to lines (Lee, Kashyap and Chu, CVGIP 56, 1994), and keep them where it is wide.

        What fills the whole grid has no line.

        Parameters
        ----------
        flags : bool (z, y, x)
            The structure.
        edge
            Edge of a cube in mm.
        least
            Width in mm of the structure from which on its line is kept; what is nowhere as wide is not thinned.
        """
        if flags.all() or not flags.any():
            return cls(np.empty((0, 3), np.intp), np.empty(0), np.empty(0))
        # A ball of that width has its middle as deep as this, but for rounding.
        deep = (least / edge - 1) / 2 - 1e-6
        regions, _ = label(flags)
        boxes = enumerate(find_objects(regions), 1)
        found = [_thinned(regions, number, box, deep) for number, box in boxes if _deepest(box, regions.shape) >= deep]
        points = np.concatenate([one for one, _ in found] or [np.empty((0, 3), np.intp)])
        deepest = np.concatenate([one for _, one in found] or [np.empty(0)])
        # As if all were thinned at once: whichever region comes first, the points go through the grid row by row.
        order = np.lexsort(points.T[::-1])
        points, deepest = points[order], deepest[order]
        # A line of cubes is one cube wide; of thicker tubes this is right on average, since the nearest cube outside is
        # one where the surface is dented.
        line = cls(points, edge / 2 * step_lengths(points), edge * (2 * deepest + 1))
        return line.only(line.widths >= least)

    @property
    def cubes(self) -> Points:
        """Cubes that the points lie in."""
        return self.points // 2

    def only(self, which: Flags) -> Centreline:
        """Return those of its points that are flagged."""
        return Centreline(self.points[which], self.lengths[which], self.widths[which])


def _deepest(box: tuple[slice, ...], shape: tuple[int, ...]) -> float:
    """How deep a cube of what fills a box can lie at most; beyond the grid, nobody knows what is outside."""
    within = []
    for one, length in zip(box, shape, strict=True):
        ends, across = (one.start > 0) + (one.stop < length), one.stop - one.start
        within.append((across + 1) / 2 if ends == 2 else across if ends == 1 else math.inf)
    return min(within)


def _thinned(
    regions: NDArray[np.int32], number: int, box: tuple[slice, ...], deep: float
) -> tuple[Points, NDArray[np.float64]]:
    """Thin one region of cubes that touch by faces: its points, and the depth of the deepest cube around each.

    A region that is nowhere so deep has no points. Regions never touch on the grid of half cubes, so that each is
    thinned as it would be among the others, and what is nearest to it outside lies in the box around it.
    """
    # One cube more on each side, so that the nearest one outside the structure is among them.
    wider = tuple(slice(max(0, one.start - 1), one.stop + 1) for one in box)
    part = regions[wider] == number
    depth = distance_transform_edt(part)
    if depth.max() < deep:
        return np.empty((0, 3), np.intp), np.empty(0)
    points = thinned(_with_middles(part))
    deepest = np.maximum(depth[tuple(points.T // 2)], depth[tuple((points.T + 1) // 2)])
    return points + [2 * one.start for one in wider], deepest


def _with_middles(flags: Flags) -> Flags:
    """The same on a grid of half the edge: n cubes in a row become 2n − 1.

    Thinning eats tubes of even width from their free ends, up to the whole tube (scikit-image issue 3757); here every
    width is odd.
    """
    for axis in range(flags.ndim):
        along = np.moveaxis(flags, axis, 0)
        finer = np.zeros((2 * len(along) - 1, *along.shape[1:]), bool)
        finer[::2] = along
        finer[1::2] = along[:-1] & along[1:]
        flags = np.moveaxis(finer, 0, axis)
    return np.ascontiguousarray(flags)


def step_lengths(points: Points) -> NDArray[np.float64]:
    """Length in steps that each of these points stands for: half of every step to a neighbour.

    Steps are those of the shortest tree through touching points, so that the small triangles where lines meet do not
    count twice. A point on its own has no length.
    """
    graph = _touching(points, weighted=True)
    tree = minimum_spanning_tree(graph).tocoo()
    ends = np.concatenate([tree.row, tree.col])
    halves = np.concatenate([tree.data, tree.data]) / 2
    return np.bincount(ends, halves, len(points)).astype(np.float64)


def numbered_runs(points: Points) -> NDArray[np.intp]:
    """Number points, from 0 on, by the run of touching points that each is of."""
    if not len(points):
        return np.empty(0, np.intp)
    found: NDArray[np.intp] = connected_components(_touching(points), directed=False)[1].astype(np.intp)
    return found


def count_breaks(points: Points, found: Flags, counted: Flags | None = None) -> int:
    """How often a line is interrupted by what is not found of it.

    A run of points that are not found is a gap where it lies between found ones: one that touches n separate runs of
    found points breaks the line n − 1 times. Where it touches one, a branch is lost or shortened, and none is broken.

    Parameters
    ----------
    points : (n, 3)
        The whole line.
    found : bool (n,)
        Which of its points are found.
    counted : bool (n,)
        Runs whose first point is flagged are counted; None: all.
    """
    if found.all() or not found.any():
        return 0
    gaps, kept = points[~found], points[found]
    runs, beside = numbered_runs(gaps), cKDTree(kept)
    first = np.unique(runs, return_index=True)[1]
    total = 0
    for run in runs[first] if counted is None else runs[first[counted[~found][first]]]:
        touched: set[int] = set().union(*beside.query_ball_point(gaps[runs == run], NEIGHBOUR))
        if touched:
            total += int(numbered_runs(kept[sorted(touched)]).max())
    return total


def _touching(points: Points, weighted: bool = False) -> Any:
    pairs = cKDTree(points).query_pairs(NEIGHBOUR, output_type="ndarray") if len(points) else np.empty((0, 2), int)
    faces_crossed = np.abs(points[pairs[:, 0]] - points[pairs[:, 1]]).sum(1)
    weights = STEP_LENGTHS[faces_crossed] if weighted else np.ones(len(pairs))
    return coo_array((weights, (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))
