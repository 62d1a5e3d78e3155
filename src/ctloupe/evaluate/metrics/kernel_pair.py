"""Kernel pairs: two reconstructions of one acquisition show one body, so an enhancer should give one answer.

A difference alone rewards a blur: what shows nothing differs in nothing. So answers are compared at equal resolution,
frequency by frequency: d(k) = Σ|A − B|² / Σ(|A|² + |B|²) over the coefficients of a ring is 0 where both answers are
one, 1 where they have nothing to do with each other, and does not change when both are blurred or sharpened alike; it
rises where one of them is blurred more than the other. Multiplied by a power that no enhancer decides, that of the
scans, it is a difference in HU again: RMS² = Σ 2·d(k)·P(k), over what a voxel of the scan can hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.metrics.base import PAIR, Accumulator, Metric
from ctloupe.evaluate.metrics.questions import ONE_ANSWER
from ctloupe.evaluate.metrics.resolution import RingCorrelator

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Setting

Plane = NDArray[Any]


class PairMoments(Accumulator):
    """Difference, contrast and correlation of both answers inside the mask, as they are."""

    def __init__(self, setting: Setting) -> None:
        self._count = 0
        self._sums: NDArray[np.float64] = np.zeros(5)

    def add(self, seen: ImageSlice) -> None:
        """Take a slice of both answers in HU into account."""
        inside = seen.reference.inside
        one, other = (
            (plane if inside is None else plane[inside]).astype(np.float64).ravel()
            for plane in (seen.plane, seen.other)
        )
        self._count += one.size
        self._sums += [one.sum(), other.sum(), one @ one, other @ other, one @ other]

    def rms(self) -> float:
        """RMS of the difference in HU."""
        _, _, one, other, both = self._sums
        return float(np.sqrt(max(0.0, one + other - 2 * both) / self._count))

    def _moments(self) -> tuple[float, float, float]:
        first, second = self._sums[:2] / self._count
        one, other, both = self._sums[2:] / self._count - (first**2, second**2, first * second)
        return max(0.0, float(one)), max(0.0, float(other)), float(both)

    def contrast(self) -> float:
        """Standard deviation in HU, the mean of both answers."""
        one, other, _ = self._moments()
        return float((np.sqrt(one) + np.sqrt(other)) / 2)

    def correlation(self) -> float:
        """Pearson's correlation of both answers; NaN where one of them is flat."""
        one, other, both = self._moments()
        return both / float(np.sqrt(one * other)) if one * other > 0 else float("nan")


class PairByFrequency(Accumulator):
    """Spectra of both answers and of both scans in the rectangle around the mask of the slices looked at closely."""

    def __init__(self, setting: Setting) -> None:
        self._spacing, self._scale = setting.spacing, setting.scale
        self._box = tuple(slice(_coarse(one.start, setting), _coarse(one.stop, setting)) for one in setting.box)
        self._correlator: RingCorrelator | None = None
        self._off, self._own, self._scans = np.zeros(1), np.zeros(1), np.zeros(1)
        self._slices = 0

    def add(self, seen: ImageSlice) -> None:
        """Take a slice of both answers in HU into account."""
        if not seen.reference.detailed:
            return
        one, other = seen.boxed, seen.reference.boxed(seen.other)
        if self._correlator is None:
            height, width = one.shape
            self._correlator = RingCorrelator((height, width), self._spacing)
        self._correlator.add(one, other)
        held = seen.reference.once(_power_of_scans, *self._box_key)
        # Frequencies of the scan's grid are those of the fine one: the rectangle is as large in mm.
        a, b = (_spectrum(plane, held.shape) for plane in (one, other))
        ring = _rings(held.shape, self._spacing, self._scale)
        for total, values in (
            ("_off", np.abs(a - b) ** 2),
            ("_own", np.abs(a) ** 2 + np.abs(b) ** 2),
            ("_scans", held),
        ):
            setattr(self, total, getattr(self, total) + np.bincount(ring.ravel(), values.ravel()))
        self._slices += 1

    @property
    def _box_key(self) -> tuple[int | None, ...]:
        rows, columns = self._box
        return rows.start, rows.stop, columns.start, columns.stop

    def rms(self) -> float:
        """RMS of the difference at equal resolution, in HU; NaN where nothing was added."""
        if not self._slices:
            return float("nan")
        apart = np.divide(self._off, self._own, out=np.ones_like(self._own), where=self._own > _NOTHING)
        return float(np.sqrt(np.sum(2 * apart * self._scans) / self._slices))

    def resolution(self) -> float:
        """Finest period in mm up to which both answers agree by the criterion of 1/7."""
        return self._correlator.result().crossing() if self._correlator is not None else float("nan")


_NOTHING: Final = 1e-6
"""Power in HU² of a ring below which an answer shows nothing there: it then agrees with nothing."""


def _coarse(at: int | None, setting: Setting) -> int | None:
    return None if at is None else at // setting.scale


def _power_of_scans(reference: Any, top: int | None, bottom: int | None, left: int | None, right: int | None) -> Plane:
    """Mean power of both scans in the rectangle, by coefficient; their sum is the variance under the window."""
    place = slice(top, bottom), slice(left, right)
    inside = None if reference.coarse_inside is None else reference.coarse_inside[place]
    found = []
    for plane in (reference.scan[place], reference.other_scan[place]):
        if inside is not None:
            plane = np.where(inside, plane, plane[inside].mean(dtype=np.float64) if inside.any() else 0)
        found.append(np.abs(_spectrum(plane, plane.shape)) ** 2)
    mean: Plane = (found[0] + found[1]) / 2
    return mean


def _spectrum(plane: Plane, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """Coefficients of the lowest frequencies, `shape` of them, of a plane under a Hann window."""
    window = np.hanning(plane.shape[0])[:, None] * np.hanning(plane.shape[1])[None]
    full = np.fft.fft2((plane - np.mean(plane, dtype=np.float64)) * window)
    rows, columns = (np.rint(np.fft.fftfreq(n) * n).astype(int) for n in shape)
    lowest: NDArray[np.complex128] = full[np.ix_(rows, columns)] / np.sqrt(np.sum(window**2) * plane.size)
    return lowest


def _rings(shape: tuple[int, ...], spacing: tuple[float, float], scale: int) -> NDArray[np.intp]:
    """Number of the ring of every coefficient, as wide as one cycle in the longer side of the rectangle."""
    y, x = (np.fft.fftfreq(n, edge * scale) for n, edge in zip(shape, spacing, strict=True))
    width = min(1 / (n * edge * scale) for n, edge in zip(shape, spacing, strict=True))
    return np.rint(np.hypot(y[:, None], x[None]) / width).astype(np.intp)


EQUAL_RMS: Final = Metric(
    key="kernel_pair_equal_rms_hu",
    label="kernel pair, difference at equal resolution (HU)",
    unit="HU",
    meaning="RMS difference of the answers to two reconstructions of one acquisition, each frequency that the scan's "
    "voxels hold brought to the power of the scans: blurring both answers gains nothing; 0 is one answer",
    better="less",
    question=ONE_ANSWER,
    needs=PAIR,
    ideal=0.0,
    accumulator=PairByFrequency,
    read=PairByFrequency.rms,
)
EQUAL_SHARE: Final = Metric(
    key="kernel_pair_share_of_bicubic",
    label="kernel pair, difference over bicubic's",
    unit="",
    meaning="the same over that of bicubic interpolation; 1 is no gain",
    better="less",
    question=ONE_ANSWER,
    needs=PAIR,
    in_summary=False,
    accumulator=PairByFrequency,
    read=PairByFrequency.rms,
    against_bicubic=lambda own, bicubic: own / bicubic if bicubic > 0 else float("nan"),
)
AGREED_DETAIL: Final = Metric(
    key="kernel_pair_resolution_mm",
    label="kernel pair, agreed detail (mm)",
    unit="mm",
    meaning="finest in-plane period at which the Fourier ring correlation of both answers is above 1/7; detail finer "
    "than that is not the same in both",
    better="less",
    question=ONE_ANSWER,
    needs=PAIR,
    accumulator=PairByFrequency,
    read=PairByFrequency.resolution,
)
PLAIN_RMS: Final = Metric(
    key="kernel_pair_rms_hu",
    label="kernel pair, plain difference (HU)",
    unit="HU",
    meaning="RMS difference of both answers as they are; a blur lowers it, so read it beside the contrast",
    better="less",
    question=ONE_ANSWER,
    needs=PAIR,
    ideal=0.0,
    in_summary=False,
    accumulator=PairMoments,
    read=PairMoments.rms,
)
CONTRAST: Final = Metric(
    key="kernel_pair_contrast_hu",
    label="kernel pair, contrast (HU)",
    unit="HU",
    meaning="standard deviation inside the mask, the mean of both answers; noise raises it, so read it beside the "
    "difference",
    better="more",
    question=ONE_ANSWER,
    needs=PAIR,
    in_summary=False,
    accumulator=PairMoments,
    read=PairMoments.contrast,
)
CORRELATION: Final = Metric(
    key="kernel_pair_correlation",
    label="kernel pair, correlation",
    unit="",
    meaning="Pearson's correlation of both answers inside the mask; 1 is one answer, and a blur raises it",
    better="more",
    question=ONE_ANSWER,
    needs=PAIR,
    ideal=1.0,
    in_summary=False,
    accumulator=PairMoments,
    read=PairMoments.correlation,
)
KERNEL_PAIR: Final = (EQUAL_RMS, EQUAL_SHARE, AGREED_DETAIL, PLAIN_RMS, CONTRAST, CORRELATION)
"""Whether two reconstructions of one acquisition get one answer."""
