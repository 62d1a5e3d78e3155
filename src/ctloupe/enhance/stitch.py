"""Whole-slice reconstruction of ISBI 2021: what hides the grid of independently generated patches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from skimage.exposure import match_histograms


def match_histogram(patch: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give a generated patch the grey-value distribution of its enlarged clinical patch.

    Parameters
    ----------
    patch, reference : (y, x)
        The generated patch, and the one whose distribution it gets; they may differ in size.

    Returns
    -------
    ndarray of the shape of `patch`
    """
    return np.asarray(match_histograms(patch, reference), dtype=np.float32)


def median_filtered(image: NDArray[np.float32], size: int = 3) -> NDArray[np.float32]:
    """Replace each pixel of a slice by the median of the `size` × `size` pixels around it.

    Parameters
    ----------
    image : (y, x)
        Slice.
    size
        Side of the neighbourhood in pixels, odd.
    """
    return np.asarray(median_filter(image, size=size, mode="nearest"), dtype=np.float32)
