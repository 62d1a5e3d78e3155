"""Protocol ``no-truth``: what can be said of a real scan's enhancement, where nobody knows the truth."""

from __future__ import annotations

from typing import Final

from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.metrics.consistency import CONSISTENCY
from ctloupe.evaluate.metrics.decorrelation import DECORRELATION_RESOLUTION
from ctloupe.evaluate.metrics.mesh import MESH
from ctloupe.evaluate.metrics.scan_chi2 import CONSISTENCY_CHI2
from ctloupe.evaluate.metrics.texture import TEXTURE_OF_MICRO, Unpaired
from ctloupe.evaluate.metrics.told import TOLD
from ctloupe.evaluate.protocols.base import Protocol
from ctloupe.evaluate.protocols.case import compare_case
from ctloupe.evaluate.slices import Flags
from ctloupe.volume.volume import Volume

NO_TRUTH: Final = Protocol(
    "no-truth",
    2,
    "the scan itself and, when given, unpaired µCT",
    (*CONSISTENCY, CONSISTENCY_CHI2, DECORRELATION_RESOLUTION, MESH, *TEXTURE_OF_MICRO, TOLD),
)


def compare_without_truth(
    scan: Volume,
    enhanced: dict[str, Volume],
    mask: Flags | None = None,
    unpaired: Unpaired | None = None,
) -> Comparison:
    """Compare enhanced volumes with the scan they came from; bicubic is the first row.

    Parameters
    ----------
    scan, enhanced, mask, unpaired
        The same as in `paired_phantom.compare_with_truth`.

    Raises
    ------
    OptionError
        If nothing is enhanced or the mask is empty.
    GeometryError
        If the grids do not belong together.
    """
    return compare_case(NO_TRUTH, scan, enhanced, mask, unpaired=unpaired)
