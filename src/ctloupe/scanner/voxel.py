"""The average over a voxel, f↓ in the papers: the mean of the fine pixels that a coarse pixel covers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def block_mean(
    image: NDArray[Any], scale: int | tuple[int, int], dtype: DTypeLike = np.float32
) -> NDArray[np.floating[Any]]:
    """Average blocks of the last two axes: f↓ of JMI 2022, Eq. 4.

    Parameters
    ----------
    image : (..., s·h, s·w)
    scale
        Side s of a block, or its height and width.
    dtype
        Floating type of the result, in which sums are taken too.

    Returns
    -------
    array of shape (..., h, w)

    Raises
    ------
    ValueError
        If the lengths are not multiples of the scale.
    """
    high, wide = (scale, scale) if isinstance(scale, int) else scale
    *rest, height, width = image.shape
    if height % high or width % wide:
        raise ValueError(f"{height}×{width} pixels cannot be cut into blocks of {high}×{wide}")
    blocks = image.reshape(*rest, height // high, high, width // wide, wide)
    return np.asarray(blocks.mean(axis=(-3, -1), dtype=dtype))


def block_mean_adjoint(image: NDArray[Any], scale: int | tuple[int, int]) -> NDArray[Any]:
    """Apply the adjoint of `block_mean`: every pixel is shared out evenly over its block.

    Parameters
    ----------
    image : (..., h, w)
        Floating values.
    scale
        Side of a block, or its height and width.

    Returns
    -------
    array of shape (..., s·h, s·w)
    """
    high, wide = (scale, scale) if isinstance(scale, int) else scale
    return np.repeat(np.repeat(image, high, axis=-2), wide, axis=-1) / image.dtype.type(high * wide)


def voxel_transfer(frequency: NDArray[np.float64], side: float) -> NDArray[np.float64]:
    """Return the share of a sine's amplitude, along an axis, that the average over a voxel keeps: ``|sinc(f·side)|``.

    Parameters
    ----------
    frequency
        Spatial frequency in cycles a millimetre.
    side
        Side of the voxel in millimetres.
    """
    return np.abs(np.sinc(frequency * side))
