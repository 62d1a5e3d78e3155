"""How a scanner's view of a thin plane differs from its view of the slice around it, known from µCT."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctloupe.scanner.anatomy import BLURS, Images, seen_without_noise
from ctloupe.scanner.tile_power import TilePower


def thin_plane_power(middle: Images, averaged: Images, scale: int) -> NDArray[np.float64]:
    """Return the power of the difference of planes and slices as a scanner with each of `BLURS` would see both.

    A scan shows the mean over the thickness of a slice, so that a plane of it that is right to the last voxel differs
    from the scan by this besides the noise.

    Parameters
    ----------
    middle : (m, s·p, s·p)
        µCT patches.
    averaged : (m, s·p, s·p)
        The same averaged over the thickness of a clinical slice.
    scale
        s.

    Returns
    -------
    array of shape (b, 7)
        A row for each of `BLURS`, in squared units of the patches; see `TilePower.result`. NaN where p is less than
        the side of a tile.
    """
    rows = []
    for blur in BLURS:
        power = TilePower()
        for plane in seen_without_noise(middle - averaged, float(blur), scale):
            power.add(plane, None)
        rows.append(power.result())
    return np.stack(rows)
