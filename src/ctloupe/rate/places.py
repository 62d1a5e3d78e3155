"""Where the patches of a study lie: drawn with a seed inside a mask, or given and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import OptionError
from ctloupe.images.squares import sums_over
from ctloupe.rate.design import Place
from ctloupe.volume.volume import Volume

LEAST_MASK: Final = 0.6
"""Least share of a patch that is inside the mask: vessels and walls at its border may be seen too."""

_STREAM: Final = 20
"""Keeps the draw of places apart from the raters' orders, which are seeded with their small numbers."""


def corner_of(place: Place, side: int) -> Place:
    """Slice, first row and first column of the patch of `side` voxels about a place."""
    z, y, x = place
    return z, y - side // 2, x - side // 2


def require_inside(places: Sequence[Place], scan: Volume, side: int) -> None:
    """Refuse places whose patch leaves the scan.

    Raises
    ------
    OptionError
        If one does.
    """
    for place in places:
        corner = corner_of(place, side)
        ends = corner[0] + 1, corner[1] + side, corner[2] + side
        if min(corner) < 0 or any(end > length for end, length in zip(ends, scan.shape, strict=True)):
            raise OptionError(
                f"`at` {','.join(map(str, place))}: a patch of {side} voxels there leaves the scan, which has "
                f"{'×'.join(map(str, scan.shape))} voxels (z, y, x); give another place or a smaller `side`"
            )


def drawn_places(scan: Volume, side: int, count: int, seed: int, mask: NDArray[np.bool_] | None = None) -> list[Place]:
    """Draw patches that do not overlap, and lie apart in depth as far as there is room.

    Parameters
    ----------
    scan
        Scan whose grid the places are on; its voxels are not read.
    side
        Side of a patch in voxels.
    count
        Number of patches.
    seed
        Seed of the draw.
    mask : bool (z, y, x)
        Where patches lie, to `LEAST_MASK`; None for everywhere.

    Raises
    ------
    OptionError
        If so many do not fit.
    """
    random = np.random.default_rng([seed, 0, _STREAM])
    found: list[Place] = []
    # Neighbouring slices show nearly the same: half a side apart first, and only then as close as they come.
    for depth in (round(side * scan.spacing[1] / scan.spacing[0] / 2), 0):
        free = np.array([np.count_nonzero(_free(z, scan, side, mask, found, depth)) for z in range(scan.shape[0])])
        while len(found) < count and free.any():
            z = int(random.choice(len(free), p=free / free.sum()))
            corners = np.argwhere(_free(z, scan, side, mask, found, depth))
            free[z] = len(corners)
            if len(corners):
                y, x = (int(one) for one in corners[random.integers(len(corners))])
                found.append((z, y + side // 2, x + side // 2))
    if len(found) < count:
        where = "the scan" if mask is None else "the mask"
        raise OptionError(
            f"`patches` {count}: only {len(found)} of {side}×{side} voxels were found in {where} that do not overlap; "
            "ask for fewer, or give a smaller `side` or another `mask`"
        )
    return found


def _free(
    z: int, scan: Volume, side: int, mask: NDArray[np.bool_] | None, taken: Sequence[Place], depth: int
) -> NDArray[np.bool_]:
    """First rows and columns at which a patch of slice `z` may begin."""
    rows, columns = (max(0, length - side + 1) for length in scan.shape[1:])
    free = np.ones((rows, columns), bool) if mask is None else _share(mask[z], side) >= LEAST_MASK
    for place in taken:
        near, y, x = corner_of(place, side)
        if abs(near - z) <= depth:
            free[max(0, y - side + 1) : y + side, max(0, x - side + 1) : x + side] = False
    return free


def _share(mask: NDArray[np.bool_], side: int) -> NDArray[np.float64]:
    """Share of every square of `side` pixels that is inside, by the corner at which it begins."""
    if min(mask.shape) < side:
        return np.zeros(tuple(max(0, length - side + 1) for length in mask.shape))
    return np.asarray(sums_over(mask, side, side) / side**2)
