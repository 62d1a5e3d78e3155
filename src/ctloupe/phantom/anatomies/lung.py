"""Lung anatomy on a fine isotropic grid, with labels and the trees it was drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomies.base import (
    Anatomy,
    AnatomyOptions,
    GroundTruth,
    Shape,
    WallLabels,
)
from ctloupe.phantom.anatomies.lung_parts.bronchovascular import bronchovascular_trees
from ctloupe.phantom.anatomies.lung_parts.nodule import lobulated_nodule
from ctloupe.phantom.anatomies.lung_parts.parenchyma import parenchyma
from ctloupe.phantom.anatomies.lung_parts.septa import Septa
from ctloupe.phantom.anatomies.lung_parts.trees import Branch
from ctloupe.phantom.foam import alveolar_diameter, cell_voxels
from ctloupe.phantom.micro import AIR_HU, MICRO_AIR, MicroContrast
from ctloupe.phantom.structure_rule import StructureRule
from ctloupe.phantom.tubes import Tube, draw

TISSUE_HU: Final = 40.0
NODULE_HU: Final = 30.0
MICRO_TISSUE: Final = 11500.0
MICRO_BLOOD: Final = 12500.0


class LungLabel(IntEnum):
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
        Hounsfield units from −1000 (air) to 40 (tissue, blood).
    labels : uint8 array of shape (z, y, x)
        Values of `LungLabel`.
    branches : tuple of Branch
        Airways, arteries and veins; `parent` indexes this tuple. Tubes may lie wholly or partly off the grid.
    spacing
        Edge of the isotropic voxels in mm.
    alveolar_edge
        Edge in voxels of the cube that holds one alveolus seed.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    branches: tuple[Branch, ...]
    spacing: float
    alveolar_edge: int


def lung_anatomy(
    shape: Shape,
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
        Number of voxels, at least 8 on each axis.
    seed
        Decides everything random.
    spacing
        Edge of the isotropic voxels in mm, 0.02 to 0.15.
    alveolus_mm
        Mean alveolar diameter, 0.25 to 0.4; rounded to what whole voxels of lattice allow.
    lobule_mm
        Diameter of the secondary lobules.
    septum_mm
        Thickness of the septa between them.
    parenchyma_hu
        Mean of the alveolar foam in HU, −900 to −750.
    nodule
        Whether a lobulated soft-tissue nodule of 3 to 6 mm is put in (smaller where the block is smaller).

    Raises
    ------
    OptionError
        If an option is outside its range.
    """
    check_block(
        shape,
        {
            "spacing": (spacing, 0.02, 0.15),
            "alveolus_mm": (alveolus_mm, 0.25, 0.4),
            "parenchyma_hu": (parenchyma_hu, -900.0, -750.0),
        },
    )
    streams = iter(np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(5))
    extent = np.array(shape) * spacing
    margin = np.maximum((np.array([14.0, 9.0, 9.0]) - extent) / 2, 1.5)
    low, high = -margin, extent + margin
    septa = Septa(low, high, lobule_mm, septum_mm, next(streams))
    branches = bronchovascular_trees(low, high, extent, septa, next(streams))
    edge = cell_voxels(alveolus_mm, spacing)
    tissue = parenchyma(shape, spacing, edge, tissue_share(parenchyma_hu), next(streams))
    labels = np.full(shape, LungLabel.PARENCHYMA, dtype=np.uint8)
    add_septa(tissue, labels, *septa.coverage(shape, spacing))
    if nodule:
        add_nodule(tissue, labels, *lobulated_nodule(shape, spacing, next(streams)))
    kinds = {kind: [one for one in branches if one.kind == kind] for kind in ("vein", "artery", "airway")}
    add_vessels(tissue, labels, kinds["vein"], kinds["artery"], spacing)
    airways = kinds["airway"]
    add_airways(tissue, labels, draw(airways, shape, spacing, outer=True), draw(airways, shape, spacing))
    return LungAnatomy(to_hu(tissue), labels, tuple(branches), spacing, edge)


def check_block(shape: Sequence[int], ranges: Mapping[str, tuple[float, float, float]]) -> None:
    """Refuse a block that is too small, or an option outside its range.

    Parameters
    ----------
    shape : (z, y, x)
        Number of voxels.
    ranges
        Value, least and most of each option by its name.

    Raises
    ------
    OptionError
        That names the option.
    """
    if len(shape) != 3 or min(shape) < 8:
        raise OptionError(f"phantom size is {tuple(shape)}; expected (z, y, x) with at least 8 voxels on each axis")
    for name, (value, least, most) in ranges.items():
        if not least <= value <= most:
            raise OptionError(f"phantom option {name} is {value:g}; choose a value from {least:g} to {most:g}")


def tissue_share(hu: float) -> float:
    """Share of tissue in air at which a voxel has `hu`."""
    return (hu - AIR_HU) / (TISSUE_HU - AIR_HU)


def to_hu(tissue: NDArray[np.float32]) -> NDArray[np.int16]:
    """HU of voxels by their share of tissue, which is overwritten."""
    tissue *= TISSUE_HU - AIR_HU
    tissue += AIR_HU
    return np.rint(tissue, out=tissue).astype(np.int16)


def add_septa(
    tissue: NDArray[np.float32], labels: NDArray[np.uint8], where: NDArray[np.int64], share: NDArray[np.float32]
) -> None:
    """Put septa into a block, given the flat indices of the voxels they touch and their share of each."""
    flat = tissue.reshape(-1)
    flat[where] = share + (1 - share) * flat[where]
    labels.reshape(-1)[where[share >= 0.5]] = LungLabel.SEPTUM


def add_nodule(
    tissue: NDArray[np.float32], labels: NDArray[np.uint8], block: tuple[slice, ...], share: NDArray[np.float32]
) -> None:
    """Put a nodule into a part of a block, given its share of every voxel there."""
    tissue[block] += share * (tissue_share(NODULE_HU) - tissue[block])
    labels[block][share >= 0.5] = LungLabel.NODULE


def add_vessels(
    tissue: NDArray[np.float32],
    labels: NDArray[np.uint8],
    veins: Sequence[Tube],
    arteries: Sequence[Tube],
    spacing: float,
) -> None:
    """Put vessels into a block, which come before airways, so that none blocks a lumen."""
    shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    for tubes, label in ((veins, LungLabel.VEIN), (arteries, LungLabel.ARTERY)):
        share = draw(tubes, shape, spacing)
        tissue += share * (1 - tissue)
        labels[share >= 0.5] = label


def add_airways(
    tissue: NDArray[np.float32], labels: NDArray[np.uint8], outside: NDArray[np.float32], inside: NDArray[np.float32]
) -> None:
    """Put airways into a block, given the share of every voxel within their outer and their inner surface."""
    tissue += outside * (1 - tissue)
    labels[outside >= 0.5] = LungLabel.AIRWAY_WALL
    tissue *= 1 - inside
    labels[inside >= 0.5] = LungLabel.AIRWAY_LUMEN


def statistics(anatomy: LungAnatomy) -> dict[str, Any]:
    """What a reader can check against the literature, measured from the arrays and branches.

    Returns
    -------
    dict
        ``parenchyma_mean_hu``; ``alveolar_diameter_mm`` = (6 / (π n))^(1/3) for n seeds per mm³;
        ``airway_wall_mean_mm`` and ``airway_wall_share_mean`` (of the outer diameter);
        ``branches`` by kind, in the whole tree and on the grid; ``taper_mean``, child over parent diameter of the
        airways; ``label_share`` of each label.
    """
    parenchyma = anatomy.hu[anatomy.labels == LungLabel.PARENCHYMA]
    airways = [one for one in anatomy.branches if one.kind == "airway"]
    ratios = [one.radius_start / anatomy.branches[one.parent].radius_start for one in airways if one.parent >= 0]
    on_grid = [one for one in anatomy.branches if _touches(one, anatomy)]
    counts = np.bincount(anatomy.labels.reshape(-1), minlength=len(LungLabel)) / anatomy.labels.size
    return {
        "parenchyma_mean_hu": float(parenchyma.mean()) if parenchyma.size else None,
        "alveolar_diameter_mm": alveolar_diameter(anatomy.alveolar_edge, anatomy.spacing),
        "airway_wall_mean_mm": float(np.mean([one.wall for one in airways])),
        "airway_wall_share_mean": float(np.mean([one.wall / (2 * (one.radius_start + one.wall)) for one in airways])),
        "branches": _count(anatomy.branches),
        "branches_on_grid": _count(on_grid),
        "taper_mean": float(np.mean(ratios)) if ratios else None,
        "label_share": {label.name.lower(): float(counts[label]) for label in LungLabel},
    }


def _count(branches: Sequence[Branch]) -> dict[str, int]:
    return {kind: sum(one.kind == kind for one in branches) for kind in ("airway", "artery", "vein")}


def _touches(one: Branch, anatomy: LungAnatomy) -> bool:
    reach = max(one.radius_start, one.radius_end) + one.wall
    low = np.minimum(one.start, one.end) - reach
    high = np.maximum(one.start, one.end) + reach
    limit = (np.array(anatomy.hu.shape) - 0.5) * anatomy.spacing
    return bool(np.all(high > -0.5 * anatomy.spacing) and np.all(low < limit))


class LungOptions(AnatomyOptions):
    """What only the lung has.

    Attributes
    ----------
    parenchyma_hu
        Mean of the alveolar foam in HU, −900 to −750.
    nodule
        Whether there is a nodule.
    """

    parenchyma_hu: float = Field(-830.0, ge=-900, le=-750)
    nodule: bool = False


def _build(shape: Shape, seed: int, spacing: float, options: LungOptions) -> GroundTruth:
    made = lung_anatomy(shape, seed, spacing, parenchyma_hu=options.parenchyma_hu, nodule=options.nodule)
    return GroundTruth(made.hu, made.labels, statistics(made))


LUNG: Final = Anatomy(
    name="lung",
    caption="lung",
    labels=LungLabel,
    build=_build,
    options=LungOptions,
    display=(-1000.0, 200.0),
    micro=MicroContrast(
        gain=(MICRO_TISSUE - MICRO_AIR) / (TISSUE_HU - AIR_HU),
        stained={LungLabel.ARTERY: MICRO_BLOOD / MICRO_TISSUE, LungLabel.VEIN: MICRO_BLOOD / MICRO_TISSUE},
    ),
    structures=(
        # Half-way between air and mean parenchyma.
        StructureRule(
            "lumen",
            (LungLabel.AIRWAY_LUMEN,),
            between=(-np.inf, -915.0),
            smoothing=0.06,
            opening=0.0,
            least=1.0,
            counted=1.2,
            tree=True,
        ),
        # Half-way between parenchyma and blood.
        StructureRule(
            "vessel",
            (LungLabel.ARTERY, LungLabel.VEIN),
            between=(-400.0, np.inf),
            smoothing=0.1,
            opening=0.2,
            least=0.6,
            counted=0.8,
            tree=True,
        ),
    ),
    walls=WallLabels(lumen=LungLabel.AIRWAY_LUMEN, wall=LungLabel.AIRWAY_WALL, around=LungLabel.PARENCHYMA),
)
