"""Does an enhanced volume look like µCT, whatever anatomy it shows?"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

PATCH: Final = 7
"""Side of the patches of `sliced_wasserstein`, as Karras et al. 2018 take it."""

Plane = NDArray[Any]


def radial_power(plane: Plane, rings: int = 64) -> NDArray[np.float64]:
    """Power spectrum averaged over directions: `rings` values from the lowest frequency to Nyquist, in HU².

    The mean is taken off and a Hann window applied.
    """
    height, width = plane.shape
    window = np.hanning(height)[:, None] * np.hanning(width)[None]
    spectrum = np.abs(np.fft.rfft2((plane - np.mean(plane)) * window)) ** 2 / np.sum(window**2)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    ring = np.minimum((frequency / 0.5 * rings).astype(np.intp), rings)
    total = np.bincount(ring.ravel(), spectrum.ravel(), rings + 1)[:-1]
    count = np.bincount(ring.ravel(), minlength=rings + 1)[:-1]
    return total / np.maximum(count, 1)


def power_spectrum_distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Mean absolute difference of two radial power spectra in decibels; 0 for images of one texture.

    ``mean over rings of |10·log₁₀ P₁ − 10·log₁₀ P₂|``. It does not see phase: shuffled texture has distance 0.
    """
    tiny = np.finfo(float).tiny
    return float(np.mean(np.abs(10 * np.log10(np.maximum(one, tiny)) - 10 * np.log10(np.maximum(other, tiny)))))


def laplacian_levels(plane: Plane, levels: int = 3) -> list[NDArray[np.float64]]:
    """Differences of Gaussians at one, two, four … pixels, finest first, each on its own coarser grid."""
    found, current = [], np.asarray(plane, float)
    for _ in range(levels):
        smooth = gaussian_filter(current, 1.0, mode="reflect")
        found.append(current - smooth)
        current = smooth[::2, ::2]
    return found


def sample_patches(plane: Plane, count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Draw `count` patches of 7×7 pixels, as rows of 49 numbers."""
    tops = random.integers(0, plane.shape[0] - PATCH + 1, count)
    lefts = random.integers(0, plane.shape[1] - PATCH + 1, count)
    windows = np.lib.stride_tricks.sliding_window_view(plane, (PATCH, PATCH))
    return windows[tops, lefts].reshape(count, -1).astype(float)


def sliced_wasserstein(
    one: NDArray[np.float64], other: NDArray[np.float64], directions: int = 128, seed: int = 0
) -> float:
    """Mean distance of two sets of vectors along random directions (Rabin et al. 2011; Karras et al. 2018, Sec. 5).

    Each direction compares the sorted projections; sets of different size are compared at equal quantiles. 0 for
    equal sets; in the unit of the vectors.

    Parameters
    ----------
    one : (n, d)
    other : (m, d)
    directions, seed
        Number of random unit vectors, and what they are drawn from.
    """
    random = np.random.default_rng(seed)
    axes = random.normal(size=(one.shape[1], directions))
    axes /= np.linalg.norm(axes, axis=0)
    a, b = np.sort(one @ axes, axis=0), np.sort(other @ axes, axis=0)
    if len(a) != len(b):
        at = (np.arange(min(len(a), len(b))) + 0.5) / min(len(a), len(b))
        a, b = (np.quantile(values, at, axis=0) for values in (a, b))
    return float(np.mean(np.abs(a - b)))
