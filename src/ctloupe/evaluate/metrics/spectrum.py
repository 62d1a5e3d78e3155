"""How far two power spectra lie apart: does an image hold as much detail of each fineness as it should?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.metrics.base import TRUTH, Accumulator, Curve, Metric
from ctloupe.evaluate.metrics.questions import TEXTURE
from ctloupe.images.spectrum import radial_power

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Reference, Setting


def power_spectrum_distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Mean absolute difference of two radial power spectra in decibels; 0 for images of one texture.

    ``mean over rings of |10·log₁₀ P₁ − 10·log₁₀ P₂|``. It does not see phase: shuffled texture has distance 0.
    """
    tiny = np.finfo(float).tiny
    return float(np.mean(np.abs(10 * np.log10(np.maximum(one, tiny)) - 10 * np.log10(np.maximum(other, tiny)))))


class PowerByFineness(Accumulator):
    """Power spectra of image and truth, of the rectangle around the mask of the slices looked at closely."""

    def __init__(self, setting: Setting) -> None:
        self._spacing = setting.spacing
        self._own: NDArray[np.float64] = np.zeros(1)
        self._true: NDArray[np.float64] = np.zeros(1)

    def add(self, seen: ImageSlice) -> None:
        """Take a slice in HU into account."""
        if seen.reference.detailed:
            self._own = self._own + radial_power(seen.boxed)
            self._true = self._true + seen.reference.once(_true_power)

    def result(self) -> float:
        """Return the distance of the spectra in dB."""
        return power_spectrum_distance(self._own, self._true)

    def curves(self) -> tuple[Curve, ...]:
        """Return power in HU² by spatial frequency in 1/mm."""
        rings = len(self._own)
        frequency = (np.arange(rings) + 0.5) / rings * 0.5 / max(self._spacing)
        return (Curve("power", frequency, self._own, self._true),)


def _true_power(reference: Reference) -> NDArray[np.float64]:
    return radial_power(reference.boxed_truth)


SPECTRUM_DISTANCE: Final = Metric(
    key="spectrum_distance_db",
    label="spectrum distance (dB)",
    unit="dB",
    meaning="mean absolute difference of the radial power spectra of SR and truth; 0 is the same texture, wherever it "
    "lies",
    better="less",
    question=TEXTURE,
    needs=TRUTH,
    ideal=0.0,
    accumulator=PowerByFineness,
)
