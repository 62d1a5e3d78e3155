"""Airways, the arteries that accompany them, and veins of a block of lung."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ctloupe.phantom.anatomies.lung_parts.septa import Septa
from ctloupe.phantom.anatomies.lung_parts.trees import Branch, accompanying_arteries, grow_tree, perpendicular

SMALLEST_RADIUS_MM = 0.15
_SUPPLY_POINTS = 16000


def bronchovascular_trees(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    extent: NDArray[np.float64],
    septa: Septa,
    rng: np.random.Generator,
) -> list[Branch]:
    """Airways and arteries from one corner region, veins along septa from another.

    Parameters
    ----------
    low, high : (z, y, x) in mm
        Box that the trees fill.
    extent : (z, y, x) in mm
        Size of the block that is drawn, which decides how thick the trunks are.
    septa
        Walls between the lobules, along which veins run.
    rng
        Decides everything random.

    Returns
    -------
    list of Branch
        The three trees one after the other; parents are indices into this list.
    """
    supply = rng.uniform(low, high, size=(_SUPPLY_POINTS, 3))
    radius = float(np.clip(0.04 * extent[1:].max(), 0.35, 1.5))
    root, heading = _hilum(low, high, rng)
    airways = grow_tree("airway", supply, root, heading, radius, SMALLEST_RADIUS_MM, rng)
    arteries = accompanying_arteries(airways, rng)
    dense = rng.uniform(low, high, size=(4 * _SUPPLY_POINTS, 3))
    away, present = septa.distance(dense)
    drained = dense[(away < 0.8) & present]
    if len(drained) < 200:
        drained = dense[: _SUPPLY_POINTS // 4]
    root, heading = _hilum(low, high, rng)
    veins = grow_tree(
        "vein", drained, root, heading, 0.9 * radius, SMALLEST_RADIUS_MM, rng,
        snap=lambda point: septa.nearest(point, 1.2),
    )  # fmt: skip
    return _joined([airways, arteries, veins])


def _hilum(
    low: NDArray[np.float64], high: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where a trunk enters, on the box's border and off its middle, and its heading inwards."""
    centre = (low + high) / 2 + rng.uniform(-0.12, 0.12, 3) * (high - low)
    angle = rng.uniform(0, 2 * np.pi)
    steep = rng.uniform(0.5, 1.2) * rng.choice([-1.0, 1.0])
    heading = np.array([np.sin(steep), np.cos(steep) * np.sin(angle), np.cos(steep) * np.cos(angle)])
    room = np.where(heading > 0, (centre - low), (high - centre)) / np.maximum(np.abs(heading), 1e-6)
    root = centre - heading * room.min()
    tilt = heading + 0.1 * rng.normal() * perpendicular(heading)
    return root, tilt / np.linalg.norm(tilt)


def _joined(trees: Sequence[Sequence[Branch]]) -> list[Branch]:
    joined: list[Branch] = []
    for tree in trees:
        offset = len(joined)
        for one in tree:
            parent = one.parent + offset if one.parent >= 0 else -1
            joined.append(replace(one, parent=parent))
    return joined
