"""Resolution of a single image, when there is no truth: decorrelation analysis (Descloux et al. 2019).

It tells the finest frequency whose phase still hangs together with the rest of the image. It cannot tell whether that
detail is real: invented texture resolves as finely as true texture. It is named so wherever it is printed.
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
    """Finest period in mm that hangs together with the rest of the image.

    The curve is taken of the image and of high-passed versions of it (differences to Gaussians of 0.15 up to half the
    shorter side, in geometric steps); the highest radius at which any of them has a local maximum is the cut-off.

    Parameters
    ----------
    plane : (y, x)
    spacing
        Pixel edge in mm.

    Returns
    -------
    float
        NaN when no curve has a maximum: the image is noise, or its detail reaches the finest frequency there is,
        which this analysis cannot tell apart.
    """
    image = np.asarray(plane, float)
    radii = np.linspace(0, 1, RADII + 1)[1:]
    widths = np.geomspace(0.15, min(image.shape) / 4, HIGH_PASSES)
    found = [_maximum(decorrelation_curve(image, radii), radii)]
    for width in widths:
        found.append(_maximum(decorrelation_curve(image - gaussian_filter(image, width), radii), radii))
    highest = max(found)
    return float(2 * spacing / highest) if highest > 0 else float("nan")


def _maximum(curve: NDArray[np.float64], radii: NDArray[np.float64], least: float = 0.001) -> float:
    """Radius of the last local maximum that stands out; 0 when there is none.

    As in the authors' program the curve is shortened while its highest value is at its end.
    """
    end = curve.size
    while end > 1:
        at = int(np.argmax(curve[:end]))
        if at < end - 1:
            return float(radii[at]) if curve[at] - curve[at:end].min() >= least else 0.0
        end -= 1
    return 0.0
