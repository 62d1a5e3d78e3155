"""Blur of a scanner, estimated from the steepest straight edges between air and tissue in a scan alone.

Skin, pleura and trachea are near-ideal steps, so the width of their images is that of the point spread (Sanders et al.
2016, doi:10.1118/1.4961984, measure resolution at the skin of patients likewise).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_gradient_magnitude, maximum_filter
from scipy.optimize import leastsq
from scipy.special import erf

from ctloupe.foundation.beside import each_beside
from ctloupe.volume.volume import Volume

_SLICES: Final = 24
_TRIED: Final = 1200
_FEWEST: Final = 20
_REACH: Final = 6
"""Half the length of the window about an edge, in voxels."""

_HALF_WIDTH: Final = 2.0
"""Half the width of that window, along the edge."""

_STEP_HU: Final = 400.0
_SLOPE_HU: Final = 100.0
"""Steps and slopes a voxel that an edge has at least."""

_RESIDUAL: Final = 0.1
"""Root mean square of what the fit of an edge leaves, over its step."""

_OBLIQUE: Final = 0.2
"""Mean change of the window from the slice before to the slice behind, over the step."""

_SHARPEST: Final = 0.25
"""Quantile over edges that is taken: anatomy can only widen an edge."""

_WIDEST: Final = 2.5

_DOWN, _RIGHT = np.mgrid[-_REACH : _REACH + 1, -_REACH : _REACH + 1].astype(np.float64)
"""Distance in voxels of every place of a window from its middle, along the axes."""

_CORE: Final = slice(_REACH - 3, _REACH + 4)
_ACROSS: Final = np.convolve([1, 2, 1], np.ones(5))
_ALONG: Final = np.convolve([-1, 0, 1], np.ones(5))
"""Sobel's operator added up over 5×5 places: these two by each other, on the 7×7 voxels that they look at."""


@dataclass(frozen=True)
class EdgeBlur:
    """What the edges of a scan say.

    Attributes
    ----------
    blur
        Standard deviation in mm of the in-plane point spread before the average over the voxel: lower quartile.
    median
        Median of the same over the edges.
    count
        Number of edges that could be fitted.
    """

    blur: float
    median: float
    count: int


def blur_from_edges(scan: Volume, seed: int = 0) -> EdgeBlur | None:
    """Estimate the blur from edges of at least 400 HU that are straight over a few voxels and upright to the slice.

    Along the normal of each, the values follow an error function; its variance is that of the point spread plus that of
    the voxel, side²/12.

    Parameters
    ----------
    scan
        The scan in HU, with square pixels; at most 24 slices are read.
    seed
        Seed of the choice among more than 1,200 places.

    Returns
    -------
    EdgeBlur or None
        None where fewer than 20 edges can be fitted: the scan shows no clean boundary of air.
    """
    found: list[float] = []
    shown = np.unique(np.linspace(0, scan.shape[0] - 1, _SLICES).round().astype(int))
    random = np.random.default_rng(seed)
    for slab, places in each_beside(lambda slab: (slab, _steep(slab[1])), (_slab(scan, int(z)) for z in shown)):
        for y, x in random.permutation(places)[: _TRIED // len(shown)]:
            width = _width(slab, int(y), int(x))
            if width is not None:
                found.append(width)
    if len(found) < _FEWEST:
        return None
    lower, middle = (
        float(np.sqrt(max(0.0, np.quantile(found, one) ** 2 - 1 / 12))) * scan.spacing[2] for one in (_SHARPEST, 0.5)
    )
    return EdgeBlur(lower, middle, len(found))


def _slab(scan: Volume, z: int) -> list[NDArray[np.float32]]:
    """A slice between the one before and the one behind."""
    last = scan.shape[0] - 1
    return [np.asarray(scan.data[at], np.float32) for at in (max(z - 1, 0), z, min(z + 1, last))]


def _steep(plane: NDArray[np.float32]) -> NDArray[np.intp]:
    """Places whose slope is the steepest about, away from the border."""
    slope = gaussian_gradient_magnitude(plane, 1.0)
    peaks = (slope == maximum_filter(slope, 3)) & (slope > _SLOPE_HU)
    peaks[:_REACH] = peaks[-_REACH:] = False
    peaks[:, :_REACH] = peaks[:, -_REACH:] = False
    return np.argwhere(peaks)


def _width(slab: list[NDArray[np.float32]], y: int, x: int) -> float | None:
    """Standard deviation in voxels of the edge at a place, None where it is not a clean step upright to the slice."""
    rows, columns = slice(y - _REACH, y + _REACH + 1), slice(x - _REACH, x + _REACH + 1)
    before, here, behind = (plane[rows, columns] for plane in slab)
    along, across = _along_and_across(here)
    inside = (np.abs(along) <= _REACH - 1) & (np.abs(across) <= _HALF_WIDTH)
    place, values = along[inside], here[inside].astype(np.float64)
    low, high = values[place < -2].mean(), values[place > 2].mean()
    if high - low < _STEP_HU or abs(float((behind - before)[inside].mean())) > _OBLIQUE * (high - low):
        return None
    step, shift, width, left = _fitted_step(place, values, low, high)
    clean = left <= _RESIDUAL * step and step >= _STEP_HU and abs(shift) <= 1.5
    return width if clean and width <= _WIDEST else None


def _along_and_across(window: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance in voxels of every place of a window from its middle, along the steepest slope there and across it."""
    core = window[_CORE, _CORE].astype(np.float64)
    down, right = float(_ALONG @ core @ _ACROSS), float(_ACROSS @ core @ _ALONG)
    length = max(float(np.hypot(down, right)), 1e-9)
    return (_DOWN * down + _RIGHT * right) / length, (_RIGHT * down - _DOWN * right) / length


def _fitted_step(
    place: NDArray[np.float64], values: NDArray[np.float64], low: float, high: float
) -> tuple[float, float, float, float]:
    """Fit an error function: height, place and width of the step, and the root mean square of what is left."""

    def left(guess: NDArray[np.float64]) -> NDArray[np.float64]:
        base, step, shift, width = guess
        return base + step * (1 + erf((place - shift) / (np.sqrt(2) * width))) / 2 - values

    def slopes(guess: NDArray[np.float64]) -> NDArray[np.float64]:
        _, step, shift, width = guess
        off = (place - shift) / width
        peak = step * np.exp(-(off**2) / 2) / (np.sqrt(2 * np.pi) * width)
        return np.stack([np.ones_like(place), (1 + erf(off / np.sqrt(2))) / 2, -peak, -peak * off], axis=1)

    # Of scipy's doors to this method of Levenberg and Marquardt the one without preparations: the fits are tiny.
    guess = np.array([low, high - low, 0.0, 0.8])
    with np.errstate(over="ignore", invalid="ignore"):  # of a covariance that nobody asks for
        fit, *_ = leastsq(left, guess, Dfun=slopes, full_output=True, ftol=1e-8, xtol=1e-8, gtol=1e-8, maxfev=40)
    _, step, shift, width = (float(value) for value in fit)
    return step, shift, abs(width), float(np.sqrt(np.mean(left(fit) ** 2)))
