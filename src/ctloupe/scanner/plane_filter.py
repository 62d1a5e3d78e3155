"""A filter in the plane of a slice that is given by its transfer function, applied without a shift."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

PlaneTransfer = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""Factor on a sine, real and even, by its frequency along y and x."""


def filtered(image: NDArray[Any], transfer: PlaneTransfer, voxel: tuple[float, float]) -> NDArray[Any]:
    """Filter every slice; beyond its border the slice is taken to go on as its mirror image, so that no edge is there.

    Parameters
    ----------
    image : (z, y, x)
        Floating values; the result has their type.
    transfer
        Factor by frequency along y and x, in cycles a unit; 1 at frequency 0 keeps constants.
    voxel : (y, x)
        Units a pixel.
    """
    height, width = image.shape[1:]
    along_y = np.asarray(np.fft.fftfreq(2 * height, voxel[0])[:, None], np.float64)
    along_x = np.asarray(np.fft.rfftfreq(2 * width, voxel[1])[None], np.float64)
    factor = transfer(along_y, along_x)
    result = np.empty_like(image)
    for z, plane in enumerate(image):
        mirrored = np.pad(plane, ((0, height), (0, width)), mode="symmetric")
        result[z] = irfft2(rfft2(mirrored) * factor.astype(image.dtype), s=mirrored.shape)[:height, :width]
    return result
