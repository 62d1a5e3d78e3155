"""Effective resolution: up to which spatial frequency an image agrees with the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.metrics.base import TRUTH, Accumulator, Curve, Metric
from ctloupe.evaluate.metrics.questions import TRUE_DETAIL

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Setting

ONE_SEVENTH: Final = 1 / 7
"""Threshold of Rosenthal and Henderson 2003 (doi:10.1016/j.jmb.2003.07.013) for two independent images."""

Plane = NDArray[Any]


@dataclass(frozen=True)
class RingCorrelation:
    """Fourier ring correlation by spatial frequency.

    Attributes
    ----------
    frequency : (n,) in cycles per mm
        Middle of each ring, up to the Nyquist frequency of the coarser axis.
    correlation : (n,) in [−1, 1]
    pairs : (n,)
        Independent Fourier coefficients in each ring, summed over slices.
    """

    frequency: NDArray[np.float64]
    correlation: NDArray[np.float64]
    pairs: NDArray[np.int64]

    def crossing(self, criterion: str = "one-seventh") -> float:
        """Resolution in mm: the inverse of the frequency where the correlation first falls below the criterion.

        Parameters
        ----------
        criterion
            ``one-seventh``, or ``half-bit`` (van Heel and Schatz 2005, doi:10.1016/j.jsb.2005.05.009, Eq. 16).

        Returns
        -------
        float
            The finest period resolved; twice the pixel when the correlation never falls below, infinity when it
            is below from the first ring on.
        """
        threshold = half_bit(self.pairs) if criterion == "half-bit" else np.full(self.frequency.shape, ONE_SEVENTH)
        above = self.correlation - threshold
        below = np.flatnonzero(above < 0)
        if not below.size:
            return float(1 / self.frequency[-1])
        at = int(below[0])
        if at == 0:
            return float("inf")
        share = above[at - 1] / (above[at - 1] - above[at])
        return float(1 / (self.frequency[at - 1] + share * (self.frequency[at] - self.frequency[at - 1])))


def half_bit(pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Half-bit threshold for rings of so many independent coefficients (van Heel and Schatz 2005, Eq. 16)."""
    root = 1 / np.sqrt(np.maximum(pairs, 1))
    return np.minimum(1.0, (0.2071 + 1.9102 * root) / (1.2071 + 0.9102 * root))


class RingCorrelator:
    """Collects slices of two volumes and correlates them ring by ring (Saxton and Baumeister 1982).

    ``FRC(k) = Re Σ F₁·F₂* / √(Σ|F₁|² · Σ|F₂|²)`` over the coefficients of ring k and over slices. Every slice has its
    mean taken off and is multiplied by a Hann window, so that its borders do not meet.

    Parameters
    ----------
    shape
        Shape of a slice, (y, x).
    spacing
        Edges of its pixels, (y, x) in mm.
    """

    def __init__(self, shape: tuple[int, int], spacing: tuple[float, float]) -> None:
        frequency = np.hypot(np.fft.fftfreq(shape[0], spacing[0])[:, None], np.fft.rfftfreq(shape[1], spacing[1])[None])
        self._nyquist = 0.5 / max(spacing)
        rings = max(4, min(shape) // 2)
        self._width = self._nyquist / rings
        self._ring = np.floor(frequency / self._width).astype(np.intp)
        self._ring[self._ring >= rings] = rings
        self._rings = rings
        self._window = np.hanning(shape[0])[:, None] * np.hanning(shape[1])[None]
        # The half plane of a real image's spectrum holds every pair once, but for its two edges.
        twice: NDArray[np.float64] = np.ones(frequency.shape)
        twice[:, 0] = twice[:, -1 if shape[1] % 2 == 0 else 0] = 0.5
        self._share = twice
        self._cross, self._one, self._other, self._count = (np.zeros(rings + 1) for _ in range(4))

        self._a_slice = self._summed(np.ones(frequency.shape))

    def add(self, one: Plane, other: Plane) -> None:
        """Take a pair of slices into account."""
        a, b = (np.fft.rfft2((plane - np.mean(plane)) * self._window) for plane in (one, other))
        self._cross += self._summed(a.real * b.real + a.imag * b.imag)
        self._one += self._summed(a.real**2 + a.imag**2)
        self._other += self._summed(b.real**2 + b.imag**2)
        self._count += self._a_slice

    def _summed(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(self._ring.ravel(), (values * self._share).ravel(), self._rings + 1).astype(np.float64)

    def result(self) -> RingCorrelation:
        """Correlation of what was added; rings without power have none and count as 0."""
        power: NDArray[np.float64] = np.sqrt(self._one * self._other)[:-1]
        correlation: NDArray[np.float64] = np.divide(
            self._cross[:-1], power, out=np.zeros(self._rings), where=power > 0
        )
        middle = np.asarray((np.arange(self._rings) + 0.5) * self._width, np.float64)
        return RingCorrelation(middle[1:], correlation[1:], np.rint(self._count[:-1]).astype(np.int64)[1:])


class TrueDetail(Accumulator):
    """Fourier ring correlation with the truth, of the rectangle around the mask of the slices looked at closely."""

    def __init__(self, setting: Setting) -> None:
        self._spacing = setting.spacing
        self._correlator: RingCorrelator | None = None

    def add(self, seen: ImageSlice) -> None:
        """Take a slice in HU into account."""
        if not seen.reference.detailed:
            return
        if self._correlator is None:
            height, width = seen.boxed.shape
            self._correlator = RingCorrelator((height, width), self._spacing)
        self._correlator.add(seen.boxed, seen.reference.boxed_truth)

    def correlation(self) -> RingCorrelation:
        """Return the correlation ring by ring."""
        if self._correlator is None:
            raise ValueError("no slice was added")
        return self._correlator.result()

    def resolution(self) -> float:
        """Resolution in mm by the criterion of 1/7."""
        return self.correlation().crossing()

    def half_bit_resolution(self) -> float:
        """Resolution in mm by the half-bit criterion."""
        return self.correlation().crossing("half-bit")

    def curves(self) -> tuple[Curve, ...]:
        """Return the correlation by spatial frequency in 1/mm."""
        found = self.correlation()
        return (Curve("ring correlation", found.frequency, found.correlation),)


RESOLUTION: Final = Metric(
    key="resolution_mm",
    label="resolution (mm)",
    unit="mm",
    meaning="finest in-plane period at which the Fourier ring correlation with the truth is above 1/7; twice the pixel "
    "is the best there is",
    better="less",
    question=TRUE_DETAIL,
    needs=TRUTH,
    accumulator=TrueDetail,
    read=TrueDetail.resolution,
)
RESOLUTION_GAIN: Final = Metric(
    key="resolution_gain",
    label="resolution gain",
    unit="",
    meaning="resolution of bicubic interpolation over that of SR; 1 is no gain",
    better="more",
    question=TRUE_DETAIL,
    needs=TRUTH,
    in_summary=False,
    accumulator=TrueDetail,
    read=TrueDetail.resolution,
    against_bicubic=lambda own, bicubic: bicubic / own,
)
HALF_BIT_RESOLUTION: Final = Metric(
    key="half_bit_resolution_mm",
    label="half-bit resolution (mm)",
    unit="mm",
    meaning="the same where it is above the half-bit threshold",
    better="less",
    question=TRUE_DETAIL,
    needs=TRUTH,
    accumulator=TrueDetail,
    read=TrueDetail.half_bit_resolution,
)
DETAIL: Final = (RESOLUTION, RESOLUTION_GAIN, HALF_BIT_RESOLUTION)
"""The finest detail that lies where the truth has it."""
