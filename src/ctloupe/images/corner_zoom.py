"""Reduction by cubic splines whose first and last samples are those of the image, as the code of JMI 2022 reduces."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@lru_cache(maxsize=16)
def corner_zoom_matrix(size: int, scale: int) -> NDArray[np.float64]:
    """Return the matrix that takes `size` samples along an axis to ``size / scale``; read-only.

    The first sample stays the first and the last the last, so that samples lie further apart than `scale`, and nothing
    is averaged: fine structure is aliased (``scipy.ndimage.zoom`` of order 3 without ``grid_mode``, mirrored at the
    ends, since the default mode makes the last sample zero at some sizes, by rounding).

    Parameters
    ----------
    size
        Samples before; a multiple of `scale`.
    scale
        How many times fewer there are behind.

    Raises
    ------
    ValueError
        If `size` is not a multiple of `scale`.
    """
    if size % scale:
        raise ValueError(f"{size} samples are not a multiple of {scale}")
    matrix: NDArray[np.float64] = ndimage.zoom(np.eye(size), (1 / scale, 1), order=3, mode="mirror")
    matrix.setflags(write=False)
    return matrix
