"""Patches of fine detail, and how far two sets of them lie apart."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

PATCH: Final = 7
"""Side of the patches of `sliced_wasserstein`, as Karras et al. 2018 take it."""

Plane = NDArray[Any]


def laplacian_levels(plane: Plane, levels: int = 3) -> list[NDArray[np.float64]]:
    """Differences of Gaussians at one, two, four … pixels, finest first, each on its own coarser grid."""
    found, current = [], np.asarray(plane, float)
    for _ in range(levels):
        smooth = gaussian_filter(current, 1.0, mode="reflect")
        found.append(current - smooth)
        current = smooth[::2, ::2]
    return found


def sample_patches(
    plane: Plane, count: int, random: np.random.Generator, inside: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Draw `count` patches of 7×7 pixels, as rows of 49 numbers.

    Parameters
    ----------
    plane : (y, x)
        At least 7×7 pixels.
    count, random
        How many, and what they are drawn by.
    inside : (y, x)
        Both corners of a patch lie in it; None: anywhere. No row when no patch fits.
    """
    windows = np.lib.stride_tricks.sliding_window_view(plane, (PATCH, PATCH))
    if inside is None:
        tops, lefts = (random.integers(0, length, count) for length in windows.shape[:2])
    else:
        reach = PATCH - 1
        places = np.flatnonzero(inside[:-reach, :-reach] & inside[reach:, reach:])
        if not places.size:
            return np.empty((0, PATCH * PATCH))
        tops, lefts = np.unravel_index(random.choice(places, count), windows.shape[:2])
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
        a, b = _quantiles(a, at), _quantiles(b, at)
    return float(np.mean(np.abs(a - b)))


def _quantiles(ordered: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles along the first axis of values that are sorted along it already, linearly interpolated."""
    place = at * (len(ordered) - 1)
    low = place.astype(np.intp)
    part = (place - low)[:, None]
    return ordered[low] * (1 - part) + ordered[np.minimum(low + 1, len(ordered) - 1)] * part
