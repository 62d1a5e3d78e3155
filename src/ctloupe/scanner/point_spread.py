"""The in-plane point spread of a scanner, before the average over its voxels: a Gaussian, applied axis by axis."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

FWHM_PER_SIGMA: Final = 2.3548200450309493
"""Full width at half maximum of a Gaussian over its standard deviation, ``2·√(2·ln 2)``."""

TRUNCATION: Final = 3.0
"""Standard deviations at which the point spread ends unless its radius is given."""

HALF: Final = 0.5 + 1e-6
"""What is added before digits are cut off; a little more than a half, so that rounding errors do not decide a tie."""


def gaussian_taps(sigma: float, radius: int | None = None) -> NDArray[np.float64]:
    """Return a sampled Gaussian whose sum is 1, of the values that `scipy.ndimage.gaussian_filter1d` uses.

    Parameters
    ----------
    sigma
        Standard deviation in pixels, 0 or more; at 0 the only tap is 1.
    radius
        Pixels on either side of the middle; by default three standard deviations, rounded.

    Returns
    -------
    array of shape (2·radius + 1,)
    """
    if radius is None:
        radius = int(TRUNCATION * sigma + HALF)
    at = np.arange(-radius, radius + 1)
    if sigma <= 0:
        return (at == 0).astype(np.float64)
    taps = np.exp(-0.5 / (sigma * sigma) * at**2)
    return np.asarray(taps / taps.sum())


def spread(image: NDArray[Any], taps: NDArray[np.float64], axis: int) -> NDArray[Any]:
    """Spread every point of a floating `image` along `axis`; beyond the border the outermost value goes on.

    Parameters
    ----------
    image
        float32 or float64; sums are taken in float64, the result has the type of the image.
    taps
        Symmetric weights of odd number that add up to 1.
    axis
        Axis along which to spread.
    """
    return np.asarray(correlate1d(image, taps, axis=axis, output=image.dtype, mode="nearest"))


def spread_adjoint(image: NDArray[Any], taps: NDArray[np.float64], axis: int) -> NDArray[Any]:
    """Apply the adjoint of `spread`: what would go beyond the border is added to the outermost pixel."""
    radius = len(taps) // 2
    moved = np.moveaxis(image, axis, -1)
    length = moved.shape[-1]
    padded = np.pad(moved, [(0, 0)] * (moved.ndim - 1) + [(radius, radius)])
    wide = correlate1d(padded, taps[::-1], axis=-1, output=image.dtype, mode="constant")
    result = wide[..., radius : radius + length].copy()
    result[..., 0] += wide[..., :radius].sum(-1)
    result[..., -1] += wide[..., radius + length :].sum(-1)
    return np.moveaxis(result, -1, axis)


def gaussian_transfer(frequency: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return the share of a sine's amplitude that a Gaussian point spread keeps, ``exp(−2·(π·σ·f)²)``.

    Parameters
    ----------
    frequency
        Spatial frequency in cycles a millimetre (or a pixel).
    sigma
        Standard deviation in millimetres (or pixels).
    """
    return np.exp(-2 * (np.pi * sigma * frequency) ** 2)
