"""Sums over every rectangle of an image, however many there are, at the cost of two running sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def sums_over(plane: NDArray[Any], tall: int, wide: int) -> NDArray[Any]:
    """Return the sum over every rectangle of an image, by the corner at which it begins.

    Parameters
    ----------
    plane : (y, x)
        Image; booleans are counted.
    tall, wide
        Rows and columns of a rectangle; no more than the image has.

    Returns
    -------
    array of shape (y - tall + 1, x - wide + 1)
    """
    total = np.pad(plane.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows = total[tall:] - total[:-tall]
    return np.asarray(rows[:, wide:] - rows[:, :-wide])
