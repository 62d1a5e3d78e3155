"""Fidelity: how close an image is to a reference. Each function states what its number means."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

SIGMA = 1.5
RADIUS = 5
"""Gaussian window of 11×11 pixels."""

JMI_CONSTANT = 1e-4


def _difference(image: NDArray[Any], reference: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    if image.shape != reference.shape:
        raise ValueError(f"image and reference differ in shape: {image.shape} and {reference.shape}")
    found = np.subtract(image, reference, dtype=np.float32)
    return found if mask is None else found[mask]


def psnr(
    image: NDArray[Any], reference: NDArray[Any], *, data_range: float, mask: NDArray[np.bool_] | None = None
) -> float:
    """Peak signal-to-noise ratio, 10·log10(data_range² / MSE).

    Parameters
    ----------
    image, reference
        Same shape and units.
    data_range
        Full range of the reference in its units; it must be stated, since the number means nothing without it.
    mask
        Voxels that count; None: all.

    Returns
    -------
    float
        dB; infinite for identical images.
    """
    error = float(np.square(_difference(image, reference, mask)).mean(dtype=np.float64))
    return float("inf") if error == 0 else 10 * float(np.log10(data_range**2 / error))


def mae(image: NDArray[Any], reference: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> float:
    """Mean absolute difference, in the units of the images; 0 is perfect."""
    return float(np.abs(_difference(image, reference, mask)).mean(dtype=np.float64))


def ssim_map(image: NDArray[Any], reference: NDArray[Any], *, data_range: float) -> NDArray[np.float32]:
    """Structural similarity at each pixel of one slice (Wang et al. 2004, doi:10.1109/TIP.2003.819861).

    Gaussian window 11×11 with σ = 1.5, K1 = 0.01, K2 = 0.03, population covariance.

    Parameters
    ----------
    image, reference : (y, x)
    data_range
        As in `psnr`.

    Returns
    -------
    (y, x) array in [−1, 1]
    """
    a, b = np.asarray(image, dtype=np.float64), np.asarray(reference, dtype=np.float64)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return gaussian_filter(values, SIGMA, radius=RADIUS)

    mean_a, mean_b = mean(a), mean(b)
    product, squares = mean_a * mean_b, mean_a**2 + mean_b**2
    covariance = mean(a * b) - product
    variances = mean(a * a + b * b) - squares
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    found = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return found.astype(np.float32)


def ssim_windowed(
    image: NDArray[Any], reference: NDArray[Any], *, data_range: float, mask: NDArray[np.bool_] | None = None
) -> float:
    """Mean of `ssim_map` slice by slice, 1 for identical images.

    Without a mask the 5 pixels at the border, where the window is cut, do not count (as in scikit-image).

    Parameters
    ----------
    image, reference : (y, x) or (z, y, x)
    data_range
        As in `psnr`.
    mask
        Same shape; pixels that count.
    """
    if image.shape != reference.shape:
        raise ValueError(f"image and reference differ in shape: {image.shape} and {reference.shape}")
    slices = zip(image, reference, strict=True) if image.ndim == 3 else [(image, reference)]
    total, count = 0.0, 0
    for index, (a, b) in enumerate(slices):
        similarity = ssim_map(a, b, data_range=data_range)
        if mask is None:
            counted = similarity[RADIUS:-RADIUS, RADIUS:-RADIUS]
        else:
            counted = similarity[mask[index] if image.ndim == 3 else mask]
        total += float(counted.sum(dtype=np.float64))
        count += counted.size
    return total / count if count else float("nan")


def jmi_psnr(image: NDArray[Any], reference: NDArray[Any]) -> float:
    """PSNR as JMI 2022 computes it: 10·log10(1 / MSE) on data in [−1, 1].

    That takes 1 for the peak of data whose range is 2, so it is 6.02 dB below `psnr` with ``data_range=2``.
    """
    return psnr(image, reference, data_range=1.0)


def jmi_ssim(image: NDArray[Any], reference: NDArray[Any]) -> float:
    """SSIM as JMI 2022 computes it: one window over the whole image, C1 = C2 = 1e-4, data in [−1, 1].

    A windowed SSIM of the same images is a different number (`ssim_windowed`).
    """
    a, b = np.asarray(image, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"image and reference differ in shape: {a.shape} and {b.shape}")
    mean_a, mean_b = a.mean(), b.mean()
    covariance = ((a - mean_a) * (b - mean_b)).mean()
    luminance = (2 * mean_a * mean_b + JMI_CONSTANT) / (mean_a**2 + mean_b**2 + JMI_CONSTANT)
    return float(luminance * (2 * covariance + JMI_CONSTANT) / (a.var() + b.var() + JMI_CONSTANT))
