"""Resolution of a single image, when there is no truth: decorrelation analysis (Descloux et al. 2019).

It tells the finest frequency at which an image still holds something. It cannot tell whether that is real: invented
texture and noise count as detail. It is named so wherever it is printed.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

RADII: Final = 50
HIGH_PASSES: Final = 10

Plane = NDArray[Any]


def decorrelation_curve(plane: Plane, radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of an image with itself, its spectrum of unit magnitude cut off at each radius.

    ``d(r) = Re Σ_{k<r} F(k)·F̂*(k) / √(Σ|F|² · Σ_{k<r}|F̂|²)`` with F̂ = F/|F| (Descloux et al. 2019,
    doi:10.1038/s41592-019-0515-7, Eq. 1). The mean is taken off and a Hann window applied.

    Parameters
    ----------
    plane : (y, x)
    radii : (n,)
        In units of the Nyquist frequency, from 0 to 1.
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
