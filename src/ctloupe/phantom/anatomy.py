"""Lung anatomy on a fine isotropic grid, with labels and the trees it was drawn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.airways import Segment, accompanying_arteries, draw, grow_tree, perpendicular
from ctloupe.phantom.foam import alveolar_diameter, alveolar_foam, cell_voxels, wall_voxels
from ctloupe.phantom.septa import Septa

AIR_HU = -1000.0
TISSUE_HU = 40.0
NODULE_HU = 30.0
SMALLEST_RADIUS_MM = 0.15
_SUPPLY_POINTS = 16000
_SLOW_NODE_MM = 2.5


class Label(IntEnum):
    """Value of each voxel of a label volume: what fills most of it."""

    OUTSIDE = 0
    PARENCHYMA = 1
    AIRWAY_LUMEN = 2
    AIRWAY_WALL = 3
    ARTERY = 4
    VEIN = 5
    SEPTUM = 6
    NODULE = 7


@dataclass(frozen=True)
class LungAnatomy:
    """A block of lung.

    Attributes
    ----------
    hu : int16 array of shape (z, y, x)
        Between −1000 (air) and 40 (tissue, blood).
    labels : uint8 array of shape (z, y, x), values of `Label`
    segments : tuple of Segment
        Airways, arteries and veins; `parent` indexes this tuple. Tubes may lie wholly or partly off the grid.
    spacing
        Isotropic voxel edge in mm.
    alveolar_edge
        Edge in voxels of the cube that holds one alveolus seed.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    segments: tuple[Segment, ...]
    spacing: float
    alveolar_edge: int


def lung_anatomy(
    shape: tuple[int, int, int],
    seed: int,
    spacing: float = 0.078125,
    alveolus_mm: float = 0.36,
    lobule_mm: float = 11.0,
    septum_mm: float = 0.13,
    parenchyma_hu: float = -830.0,
    nodule: bool = False,
) -> LungAnatomy:
    """Make a block of lung: alveolar foam, septa, airways, arteries, veins and perhaps a nodule.

    Parameters
    ----------
    shape : (z, y, x)
        At least 8 voxels on each axis.
    seed
        Decides everything random.
    spacing
        Isotropic voxel edge in mm, at most 0.15.
    alveolus_mm
        Mean alveolar diameter, 0.25 to 0.4; rounded to what whole voxels of lattice allow.
    lobule_mm, septum_mm
        Size of the secondary lobules and thickness of their septa.
    parenchyma_hu
        Mean of the foam, −900 to −750.
    nodule
        Add a lobulated soft-tissue nodule of 3 to 6 mm (smaller where the block is smaller).

    Raises
    ------
    OptionError
        If an option is outside its range.
    """
    _check(shape, spacing, alveolus_mm, parenchyma_hu)
    streams = iter(np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(5))
    extent = np.array(shape) * spacing
    margin = np.maximum((np.array([14.0, 9.0, 9.0]) - extent) / 2, 1.5)
    low, high = -margin, extent + margin
    septa = Septa(low, high, lobule_mm, septum_mm, next(streams))
    segments = _trees(low, high, extent, septa, next(streams))
    edge = cell_voxels(alveolus_mm, spacing)
    tissue = _foam(shape, spacing, edge, parenchyma_hu, next(streams))
    labels = np.full(shape, Label.PARENCHYMA, dtype=np.uint8)
    _add_septa(tissue, labels, septa, spacing)
    if nodule:
        _add_nodule(tissue, labels, spacing, next(streams))
    _add_trees(tissue, labels, segments, spacing)
    tissue *= TISSUE_HU - AIR_HU
    tissue += AIR_HU
    hu = np.rint(tissue, out=tissue).astype(np.int16)
    return LungAnatomy(hu, labels, tuple(segments), spacing, edge)


def _check(shape: Sequence[int], spacing: float, alveolus_mm: float, parenchyma_hu: float) -> None:
    if len(shape) != 3 or min(shape) < 8:
        raise OptionError(f"phantom size is {tuple(shape)}; expected (z, y, x) with at least 8 voxels on each axis")
    for name, value, least, most in (
        ("spacing", spacing, 0.02, 0.15),
        ("alveolus_mm", alveolus_mm, 0.25, 0.4),
        ("parenchyma_hu", parenchyma_hu, -900.0, -750.0),
    ):
        if not least <= value <= most:
            raise OptionError(f"phantom option {name} is {value:g}; choose a value from {least:g} to {most:g}")


def _slow_field(shape: tuple[int, int, int], spacing: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise of unit variance on a coarse grid, a few millimetres from node to node."""
    nodes = [max(2, math.ceil(length * spacing / _SLOW_NODE_MM)) for length in shape]
    noise = gaussian_filter(rng.normal(size=[count + 8 for count in nodes]), 1.5)
    noise /= noise.std()
    return noise[4:-4, 4:-4, 4:-4].astype(np.float32)


def _foam(
    shape: tuple[int, int, int], spacing: float, edge: int, mean_hu: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    mean = _wall_for((mean_hu - AIR_HU) / (TISSUE_HU - AIR_HU), edge)
    field = np.clip(1 + 0.15 * _slow_field(shape, spacing, rng), 0.6, 1.5)
    return alveolar_foam(shape, edge, (mean * field).astype(np.float32), rng)


def _wall_for(share: float, edge: int) -> float:
    """Mean wall thickness in voxels at which walls fill `share` of space.

    The formula holds for walls much thinner than a cell and thicker than a voxel; a block of foam measured with
    its result corrects it, twice, for what partial volume and overlapping walls take away.
    """
    thickness = wall_voxels(share, edge)
    for _ in range(2):
        uniform = np.full((1, 1, 1), thickness, dtype=np.float32)
        block = alveolar_foam((10 * edge,) * 3, edge, uniform, np.random.default_rng(0))
        thickness *= share / float(block.mean())
    return thickness


def _trees(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    extent: NDArray[np.float64],
    septa: Septa,
    rng: np.random.Generator,
) -> list[Segment]:
    """Airways and arteries from one corner region, veins from another, all within the box `low` to `high`."""
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


def _joined(trees: Sequence[Sequence[Segment]]) -> list[Segment]:
    joined: list[Segment] = []
    for tree in trees:
        offset = len(joined)
        for one in tree:
            parent = one.parent + offset if one.parent >= 0 else -1
            joined.append(Segment(one.kind, parent, one.start, one.end, one.radius_start, one.radius_end, one.wall))
    return joined


def _add_septa(tissue: NDArray[np.float32], labels: NDArray[np.uint8], septa: Septa, spacing: float) -> None:
    where, share = septa.coverage((tissue.shape[0], tissue.shape[1], tissue.shape[2]), spacing)
    flat = tissue.reshape(-1)
    flat[where] = share + (1 - share) * flat[where]
    labels.reshape(-1)[where[share >= 0.5]] = Label.SEPTUM


def _add_nodule(
    tissue: NDArray[np.float32], labels: NDArray[np.uint8], spacing: float, rng: np.random.Generator
) -> None:
    """A ball whose radius swells and shrinks by a few smooth lobes."""
    extent = np.array(tissue.shape) * spacing
    radius = min(float(rng.uniform(1.5, 3.0)), 0.22 * float(extent[1:].min()))
    centre = extent / 2 + rng.uniform(-0.2, 0.2, 3) * np.maximum(extent - 2 * radius, 0)
    low = np.maximum(((centre - 1.4 * radius) / spacing).astype(int), 0)
    high = np.minimum(((centre + 1.4 * radius) / spacing).astype(int) + 2, tissue.shape)
    block = tuple(slice(begin, end) for begin, end in zip(low, high, strict=True))
    z, y, x = (
        (axis * spacing - middle).astype(np.float32) for axis, middle in zip(np.ogrid[block], centre, strict=True)
    )
    away = np.sqrt(z * z + y * y + x * x)
    lobes = np.zeros_like(away)
    for wave in rng.normal(size=(6, 3)):
        wave *= rng.uniform(3.0, 6.0) / np.linalg.norm(wave)
        lobes += np.cos((z * wave[0] + y * wave[1] + x * wave[2]) / radius + rng.uniform(0, 6.28))
    share = np.clip(0.5 + (radius * (1 + 0.05 * lobes) - away) / spacing, 0, 1)
    solid = (NODULE_HU - AIR_HU) / (TISSUE_HU - AIR_HU)
    tissue[block] += share * (solid - tissue[block])
    labels[block][share >= 0.5] = Label.NODULE


def _add_trees(
    tissue: NDArray[np.float32], labels: NDArray[np.uint8], segments: Sequence[Segment], spacing: float
) -> None:
    """Vessels first and airways last, so that no vessel blocks a lumen."""
    shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    for kind, label in (("vein", Label.VEIN), ("artery", Label.ARTERY)):
        share = draw([one for one in segments if one.kind == kind], shape, spacing)
        tissue += share * (1 - tissue)
        labels[share >= 0.5] = label
    airways = [one for one in segments if one.kind == "airway"]
    share = draw(airways, shape, spacing, outer=True)
    tissue += share * (1 - tissue)
    labels[share >= 0.5] = Label.AIRWAY_WALL
    share = draw(airways, shape, spacing)
    tissue *= 1 - share
    labels[share >= 0.5] = Label.AIRWAY_LUMEN


def statistics(anatomy: LungAnatomy) -> dict[str, Any]:
    """What a reader can check against the literature, measured from the arrays and segments.

    Returns
    -------
    dict
        ``parenchyma_mean_hu``; ``alveolar_diameter_mm`` = (6 / (π n))^(1/3) for n seeds per mm³;
        ``airway_wall_mean_mm`` and ``airway_wall_share_mean`` (of the outer diameter);
        ``branches`` by kind, in the whole tree and on the grid; ``taper_mean``, child over parent diameter of the
        airways; ``label_share`` of each label.
    """
    parenchyma = anatomy.hu[anatomy.labels == Label.PARENCHYMA]
    airways = [one for one in anatomy.segments if one.kind == "airway"]
    ratios = [one.radius_start / anatomy.segments[one.parent].radius_start for one in airways if one.parent >= 0]
    on_grid = [one for one in anatomy.segments if _touches(one, anatomy)]
    counts = np.bincount(anatomy.labels.reshape(-1), minlength=len(Label)) / anatomy.labels.size
    return {
        "parenchyma_mean_hu": float(parenchyma.mean()) if parenchyma.size else None,
        "alveolar_diameter_mm": alveolar_diameter(anatomy.alveolar_edge, anatomy.spacing),
        "airway_wall_mean_mm": float(np.mean([one.wall for one in airways])),
        "airway_wall_share_mean": float(np.mean([one.wall / (2 * (one.radius_start + one.wall)) for one in airways])),
        "branches": _count(anatomy.segments),
        "branches_on_grid": _count(on_grid),
        "taper_mean": float(np.mean(ratios)) if ratios else None,
        "label_share": {label.name.lower(): float(counts[label]) for label in Label},
    }


def _count(segments: Sequence[Segment]) -> dict[str, int]:
    return {kind: sum(one.kind == kind for one in segments) for kind in ("airway", "artery", "vein")}


def _touches(one: Segment, anatomy: LungAnatomy) -> bool:
    reach = max(one.radius_start, one.radius_end) + one.wall
    low = np.minimum(one.start, one.end) - reach
    high = np.maximum(one.start, one.end) + reach
    limit = (np.array(anatomy.hu.shape) - 0.5) * anatomy.spacing
    return bool(np.all(high > -0.5 * anatomy.spacing) and np.all(low < limit))
