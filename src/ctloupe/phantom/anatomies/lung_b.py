"""A second lung family, made in other ways than the first, so that one can train on one and test on the other.

What it is made of, the labels and the scanners are the first family's; how each part is made is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ctloupe.phantom.anatomies.base import GroundTruth, Shape
from ctloupe.phantom.anatomies.lung import (
    LUNG,
    LungLabel,
    LungOptions,
    add_airways,
    add_nodule,
    add_septa,
    add_vessels,
    check_block,
    tissue_share,
    to_hu,
)
from ctloupe.phantom.anatomies.lung_b_parts.blobs import blob
from ctloupe.phantom.anatomies.lung_b_parts.bundles import bundles_and_veins
from ctloupe.phantom.anatomies.lung_b_parts.curved_branch import CurvedBranch
from ctloupe.phantom.anatomies.lung_b_parts.sheets import sheets
from ctloupe.phantom.anatomies.lung_b_parts.sponge import sponge
from ctloupe.phantom.tubes import Tube, draw

_LEAST_BOX_MM = np.array([10.0, 9.0, 9.0])
_BEYOND_MM = 1.5


@dataclass(frozen=True)
class LungBAnatomy:
    """A block of lung of the second family.

    Attributes
    ----------
    hu : int16 array of shape (z, y, x)
        Hounsfield units from −1000 (air) to 40 (tissue, blood).
    labels : uint8 array of shape (z, y, x)
        Values of `LungLabel`; holes are parenchyma.
    branches : tuple of CurvedBranch
        Airways, arteries and veins; `parent` indexes this tuple. They may lie wholly or partly off the grid.
    spacing
        Edge of the isotropic voxels in mm.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    branches: tuple[CurvedBranch, ...]
    spacing: float


def lung_b_anatomy(
    shape: Shape,
    seed: int,
    spacing: float = 0.078125,
    air_space_mm: float = 0.32,
    septum_mm: float = 0.12,
    parenchyma_hu: float = -830.0,
    nodule: bool = False,
    holes: int = 0,
) -> LungBAnatomy:
    """Make a block of lung: a sponge of air spaces, septa, curved trees, and perhaps a nodule and holes.

    Parameters
    ----------
    shape : (z, y, x)
        Number of voxels, at least 8 on each axis.
    seed
        Decides everything random.
    spacing
        Edge of the isotropic voxels in mm, 0.02 to 0.15.
    air_space_mm
        Mean length of a line between walls of air spaces, 0.25 to 0.6.
    septum_mm
        Thickness of interlobular septa.
    parenchyma_hu
        Mean of the sponge in HU, −900 to −750.
    nodule
        Whether an irregular soft-tissue nodule of about 3 to 6 mm is put in (smaller where the block is smaller).
    holes
        Number of irregular holes of about 1 to 4 mm, as emphysema leaves them, 0 to 40.

    Raises
    ------
    OptionError
        If an option is outside its range.
    """
    check_block(
        shape,
        {
            "spacing": (spacing, 0.02, 0.15),
            "air_space_mm": (air_space_mm, 0.25, 0.6),
            "parenchyma_hu": (parenchyma_hu, -900.0, -750.0),
            "holes": (holes, 0, 40),
        },
    )
    for_trees, for_sponge, for_septa, for_nodule, for_holes = (
        np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(5)
    )
    extent = np.array(shape) * spacing
    margin = np.maximum((_LEAST_BOX_MM - extent) / 2, _BEYOND_MM)
    branches = bundles_and_veins(-margin, extent + margin, extent, for_trees)
    tissue = sponge(shape, spacing, air_space_mm, tissue_share(parenchyma_hu), for_sponge)
    labels = np.full(shape, LungLabel.PARENCHYMA, dtype=np.uint8)
    for _ in range(holes):
        block, share = blob(shape, spacing, for_holes.uniform(0.5, 2.0), 0.35, for_holes)
        tissue[block] *= 1 - share
    add_septa(tissue, labels, *sheets(shape, spacing, septum_mm, for_septa))
    if nodule:
        add_nodule(tissue, labels, *blob(shape, spacing, for_nodule.uniform(1.5, 3.0), 0.18, for_nodule))
    inside = {kind: _tubes(branches, kind) for kind in ("vein", "artery", "airway")}
    add_vessels(tissue, labels, inside["vein"], inside["artery"], spacing)
    outside = [tube for one in branches if one.kind == "airway" for tube in one.outside()]
    add_airways(tissue, labels, draw(outside, shape, spacing), draw(inside["airway"], shape, spacing))
    return LungBAnatomy(to_hu(tissue), labels, tuple(branches), spacing)


def _tubes(branches: Sequence[CurvedBranch], kind: str) -> list[Tube]:
    return [tube for one in branches if one.kind == kind for tube in one.inside()]


def statistics(anatomy: LungBAnatomy) -> dict[str, Any]:
    """What a reader can check against the literature, measured from the arrays and branches.

    Returns
    -------
    dict
        ``parenchyma_mean_hu``; ``airway_wall_mean_mm`` and ``airway_wall_spread`` (standard deviation over mean, along
        all airways); ``branches`` by kind; ``taper_mean``, child over parent diameter of the airways, and
        ``taper_within_mean``, end over start of one branch; ``tortuosity_mean``, length over distance of the ends;
        ``label_share`` of each label.
    """
    parenchyma = anatomy.hu[anatomy.labels == LungLabel.PARENCHYMA]
    airways = [one for one in anatomy.branches if one.kind == "airway"]
    walls = np.concatenate([one.walls for one in airways])
    ratios = [one.radii[0] / anatomy.branches[one.parent].radii[0] for one in airways if one.parent >= 0]
    counts = np.bincount(anatomy.labels.reshape(-1), minlength=len(LungLabel)) / anatomy.labels.size
    return {
        "parenchyma_mean_hu": float(parenchyma.mean()) if parenchyma.size else None,
        "airway_wall_mean_mm": float(walls.mean()),
        "airway_wall_spread": float(walls.std() / walls.mean()),
        "branches": {kind: sum(one.kind == kind for one in anatomy.branches) for kind in ("airway", "artery", "vein")},
        "taper_mean": float(np.mean(ratios)) if ratios else None,
        "taper_within_mean": float(np.mean([one.radii[-1] / one.radii[0] for one in anatomy.branches])),
        "tortuosity_mean": float(np.mean([one.tortuosity() for one in anatomy.branches])),
        "label_share": {label.name.lower(): float(counts[label]) for label in LungLabel},
    }


class LungBOptions(LungOptions):
    """What only the second lung family has.

    Attributes
    ----------
    parenchyma_hu
        Mean of the sponge in HU, −900 to −750.
    nodule
        Whether there is a nodule.
    holes
        Number of holes, as emphysema leaves them.
    """

    holes: int = Field(0, ge=0, le=40)


def _build(shape: Shape, seed: int, spacing: float, options: LungBOptions) -> GroundTruth:
    made = lung_b_anatomy(
        shape, seed, spacing, parenchyma_hu=options.parenchyma_hu, nodule=options.nodule, holes=options.holes
    )
    return GroundTruth(made.hu, made.labels, statistics(made))


LUNG_B: Final = replace(LUNG, name="lung-b", caption="lung of the second family", build=_build, options=LungBOptions)
