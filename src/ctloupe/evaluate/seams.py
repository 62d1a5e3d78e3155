"""Can one see where patches met?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def seam_visibility(image: NDArray[Any], period: int, phase: int = 1) -> float:
    """Mean step across patch borders divided by the mean step elsewhere; 1 means that no border shows.

    A step is the absolute difference of two neighbouring pixels, taken across rows and across columns; a border
    lies before every pixel whose index is a multiple of `period`.

    Parameters
    ----------
    image : (y, x) or (z, y, x)
    period
        Side of a patch in pixels of the image.
    phase
        Compare with the steps before multiples of this number only. An image enlarged s times changes most between
        the pixels of the scan; with ``phase=s`` such places are compared with each other.

    Raises
    ------
    ValueError
        If the image holds no border.
    """
    at_border, elsewhere = [], []
    for axis in (-2, -1):
        steps = np.abs(np.diff(image.astype(np.float32), axis=axis))
        steps = np.moveaxis(steps, axis, -1)
        index = np.arange(1, steps.shape[-1] + 1)
        border = index % period == 0
        at_border.append(steps[..., border].ravel())
        elsewhere.append(steps[..., ~border & (index % phase == 0)].ravel())
    crossing = np.concatenate(at_border)
    if crossing.size == 0:
        raise ValueError(f"an image of {image.shape[-2:]} pixels has no border of patches of {period} pixels")
    return float(crossing.mean(dtype=np.float64) / np.concatenate(elsewhere).mean(dtype=np.float64))
