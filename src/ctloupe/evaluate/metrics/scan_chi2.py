"""Agreement with the scan as it was made: what the scanner sees of the image, against the scan, in units of noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ctloupe.evaluate.metrics.base import SCAN, Accumulator, Metric
from ctloupe.evaluate.metrics.questions import AGREEMENT
from ctloupe.scanner.tile_power import COEFFICIENTS, TilePower

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Setting


class WhitenedResidual(Accumulator):
    """Power of (A·SR − scan) by spatial frequency, of tiles inside the mask of the slices looked at closely."""

    def __init__(self, setting: Setting) -> None:
        self._scanner = setting.scanner
        self._power = TilePower()

    def add(self, seen: ImageSlice) -> None:
        """Take a slice in HU into account."""
        if self._scanner is None or not self._scanner.known or not seen.reference.detailed:
            return
        off = self._scanner.seen(seen.as_thick_as_scan, seen.setting) - seen.reference.scan
        self._power.add(off, seen.reference.coarse_inside)

    def result(self) -> float:
        """Return χ² a degree of freedom; NaN where the scanner is not known or no tile lies inside the mask."""
        if self._scanner is None or not self._power.tiles:
            return float("nan")
        return float(np.average(self._power.result() / self._scanner.power, weights=COEFFICIENTS))


def _sought(setting: Setting) -> bool:
    return setting.scanner is not None


CONSISTENCY_CHI2: Final = Metric(
    key="consistency_chi2",
    label="consistency χ²",
    unit="",
    meaning="mean over Fourier coefficients of tiles inside the mask of |A·SR − scan|² over the expected power of the "
    "noise, A being the point spread and voxel of the estimated scanner; 1 is right, less is noise copied, more "
    "contradicts the scan",
    better="near ideal",
    question=AGREEMENT,
    needs=SCAN,
    ideal=1.0,
    has_limit=True,
    where=_sought,
    accumulator=WhitenedResidual,
)
"""Whether the image, scanned again, would be this scan but for noise."""
