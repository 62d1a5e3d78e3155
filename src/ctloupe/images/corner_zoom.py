"""Reduction by cubic splines whose first and last samples are those of the image, as the code of JMI 2022 reduces."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def corner_zoom(values: NDArray[Any], scale: int, axes: int) -> NDArray[Any]:
    """Reduce the first `axes` axes by `scale`: the first sample of each stays the first, and the last the last.

    Samples lie further apart than `scale`, and nothing is averaged: fine structure is aliased (``scipy.ndimage.zoom``
    of order 3 without ``grid_mode``, mirrored at the ends, since the default mode makes the last sample zero at some
    sizes, by rounding).
    """
    factors = [1 / scale] * axes + [1.0] * (values.ndim - axes)
    reduced: NDArray[Any] = ndimage.zoom(values, factors, order=3, mode="mirror")
    return reduced


@lru_cache(maxsize=16)
def corner_zoom_matrix(size: int, scale: int) -> NDArray[np.float64]:
    """Return the matrix by which `corner_zoom` takes `size` samples along an axis to ``size / scale``; read-only.

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
    matrix: NDArray[np.float64] = corner_zoom(np.eye(size), scale, axes=1)
    matrix.setflags(write=False)
    return matrix
