"""Protocol ``paired-phantom``: enhanced volumes against the truth of the same anatomy, slice by slice."""

from __future__ import annotations

from typing import Final

from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.metrics.airway_walls import WALLS
from ctloupe.evaluate.metrics.consistency import CONSISTENCY
from ctloupe.evaluate.metrics.fidelity import FIDELITY
from ctloupe.evaluate.metrics.mesh import MESH
from ctloupe.evaluate.metrics.resolution import DETAIL
from ctloupe.evaluate.metrics.scan_chi2 import CONSISTENCY_CHI2
from ctloupe.evaluate.metrics.spectrum import SPECTRUM_DISTANCE
from ctloupe.evaluate.metrics.structure import STRUCTURES
from ctloupe.evaluate.metrics.texture import TEXTURE_OF_MICRO, Unpaired
from ctloupe.evaluate.metrics.told import TOLD
from ctloupe.evaluate.metrics.trees import TREES
from ctloupe.evaluate.protocols.base import Protocol
from ctloupe.evaluate.protocols.case import compare_case
from ctloupe.evaluate.slices import Flags
from ctloupe.volume.volume import Volume

PAIRED_PHANTOM: Final = Protocol(
    "paired-phantom",
    1,
    "the truth of the same anatomy",
    (
        *FIDELITY,
        *DETAIL,
        SPECTRUM_DISTANCE,
        MESH,
        *CONSISTENCY,
        CONSISTENCY_CHI2,
        *STRUCTURES,
        *TREES,
        *WALLS,
        *TEXTURE_OF_MICRO,
        TOLD,
    ),
)
"""Numbers that were called ``paired-truth`` before have the same definitions as far as they go."""


def compare_with_truth(
    scan: Volume,
    enhanced: dict[str, Volume],
    truth: Volume,
    mask: Flags | None = None,
    labels: Volume | None = None,
    unpaired: Unpaired | None = None,
    thick_truth: Volume | None = None,
    micro_truth: Volume | None = None,
) -> Comparison:
    """Compare enhanced volumes with the truth and with the scan itself; bicubic is the first row.

    Parameters
    ----------
    scan
        The clinical CT that was enhanced, or the same part of it.
    enhanced
        Volumes on the s-times finer grid of `scan`, by row name.
    truth
        The truth on the same fine grid.
    mask : bool on the grid of `scan`
        Where to compare; None: everywhere.
    labels
        Label numbers on the fine grid; they add the structure metrics, and the truth's own as limits.
    unpaired
        Texture of a µCT; it adds realism.
    thick_truth
        The truth averaged over the slices of the scan (``truth_on_clinical_slices(…, "slab")``): what the scanner saw,
        where `truth` is thinner. Scanner and limit of the consistency χ² are found with it.
    micro_truth
        The truth as the µCT shows it, in HU (`texture.in_hu`): what "told from µCT" measures in the truth's place.

    Raises
    ------
    OptionError
        If nothing is enhanced or the mask is empty.
    GeometryError
        If the grids do not belong together.
    """
    return compare_case(
        PAIRED_PHANTOM, scan, enhanced, mask, truth, labels, unpaired, thick_truth, micro_truth=micro_truth
    )
