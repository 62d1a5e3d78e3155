"""Resolution of a single image, when there is no truth: decorrelation analysis (Descloux et al. 2019).

It tells the finest frequency at which an image still holds something. It cannot tell whether that is real: invented
texture and noise count as detail. It is named so wherever it is printed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ctloupe.evaluate.metrics.base import Accumulator, Metric
from ctloupe.evaluate.metrics.questions import ANY_DETAIL
from ctloupe.evaluate.slices import counted_squares

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Reference, Setting

RADII: Final = 50
HIGH_PASSES: Final = 10
SQUARE: Final = 512
"""Largest side in pixels of the part of a slice that is looked at, where the mask is fullest."""

Plane = NDArray[Any]


def decorrelation_curve(plane: Plane, radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of an image with itself, its spectrum of unit magnitude cut off at each radius.

    ``d(r) = Re Σ_{k<r} F(k)·F̂*(k) / √(Σ|F|² · Σ_{k<r}|F̂|²)`` with F̂ = F/|F| (Descloux et al. 2019,
    doi:10.1038/s41592-019-0515-7, Eq. 1). The mean is taken off and a Hann window applied.

    Parameters
    ----------
    plane : (y, x)
    radii : (n,)
        Radii in units of the Nyquist frequency, from 0 to 1.
    """
    magnitude, radius, share = _spectrum(plane)
    total = np.sqrt(np.sum(share * magnitude**2))
    return _curve(magnitude, radius, share, total, radii)


def _spectrum(plane: Plane) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Magnitudes inside the circle up to Nyquist, their radius, and how often each stands for two."""
    height, width = plane.shape
    window = np.hanning(height)[:, None] * np.hanning(width)[None]
    spectrum = np.abs(np.fft.rfft2((plane - np.mean(plane)) * window))
    radius = 2 * np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    share = np.full(spectrum.shape, 2.0)
    share[:, 0] = share[:, -1 if width % 2 == 0 else 0] = 1.0
    inside = (radius > 0) & (radius <= 1)
    return spectrum[inside], radius[inside], share[inside]


def _curve(
    magnitude: NDArray[np.float64],
    radius: NDArray[np.float64],
    share: NDArray[np.float64],
    total: float,
    radii: NDArray[np.float64],
) -> NDArray[np.float64]:
    ring = np.searchsorted(radii, radius)
    size = radii.size + 1
    above = np.cumsum(np.bincount(ring, share * magnitude, size))[:-1]
    count = np.cumsum(np.bincount(ring, share, size))[:-1]
    return np.divide(above, total * np.sqrt(count), out=np.zeros(radii.size), where=count * total > 0)


def decorrelation_resolution(plane: Plane, spacing: float) -> float:
    """Finest period in mm at which the image still holds something.

    The curve is taken of the image and of high-passed versions of it (differences to Gaussians of 0.15 up to a quarter
    of the shorter side, in geometric steps); the highest radius at which any of them peaks is the cut-off. Peaks at
    Nyquist do not count: filtered strongly enough, the noise of any image peaks there.

    Parameters
    ----------
    plane : (y, x)
    spacing
        Pixel edge in mm.

    Returns
    -------
    float
        NaN when half of the curves peak at Nyquist: the image is noise, or its detail reaches the finest frequency
        there is, which this analysis cannot tell apart.
    """
    image = np.asarray(plane, float)
    if np.ptp(image) == 0:
        return float("nan")
    radii = np.linspace(0, 1, RADII + 1)[1:]
    widths = np.geomspace(0.15, min(image.shape) / 4, HIGH_PASSES)
    versions = [image, *(image - gaussian_filter(image, width) for width in widths)]
    peaks = np.array([radii[int(np.argmax(decorrelation_curve(one, radii)))] for one in versions])
    within = peaks[peaks < 1]
    return float(2 * spacing / within.max()) if 2 * within.size > peaks.size else float("nan")


class FinestDetail(Accumulator):
    """Decorrelation resolution of the slices looked at closely, each where the mask is fullest."""

    def __init__(self, setting: Setting) -> None:
        self._finest: list[float] = []

    def add(self, seen: ImageSlice) -> None:
        """Take a slice in HU into account."""
        if seen.reference.detailed:
            square = seen.reference.once(_fullest_square)
            self._finest.append(decorrelation_resolution(seen.plane[square], seen.pixel))

    def result(self) -> float:
        """Return the median in mm of the slices that have a value; NaN when most have none."""
        found = [value for value in self._finest if np.isfinite(value)]
        return float(np.median(found)) if 2 * len(found) > len(self._finest) else float("nan")


def _fullest_square(reference: Reference) -> tuple[slice, slice]:
    """Square of the fine grid, at most 512 pixels wide, that holds the most mask."""
    scale = reference.setting.scale
    mask = reference.coarse_inside
    mask = np.ones(reference.scan.shape, bool) if mask is None else mask
    side = min(SQUARE // scale, *mask.shape)
    full = counted_squares(mask, side)
    top, left = (int(at) * scale for at in np.unravel_index(int(np.argmax(full)), full.shape))
    return slice(top, top + side * scale), slice(left, left + side * scale)


DECORRELATION_RESOLUTION: Final = Metric(
    key="decorrelation_resolution_mm",
    label="decorrelation resolution (mm)",
    unit="mm",
    meaning="decorrelation analysis of single slices (Descloux 2019): finest period at which they hold something; "
    "invented detail counts as much as true detail; a dash: noise, or detail up to the finest frequency",
    better="less",
    question=ANY_DETAIL,
    accumulator=FinestDetail,
)
