"""Which part of a scan an enhanced volume shows, read off where it lies in space."""

from __future__ import annotations

from typing import Final

import numpy as np

from ctloupe.enhance.region import Region
from ctloupe.volume.geometry import coarsened_grid, same_direction, same_spacing
from ctloupe.volume.volume import Volume

_NEAR: Final = 0.05
"""How far, in voxels, a corner may lie beside a voxel's: files round their origins."""


def part_shown(scan: Volume, fine: Volume) -> Region | None:
    """Return the part of `scan` that lies under `fine`.

    Parameters
    ----------
    scan
        The whole clinical CT.
    fine
        A volume on a grid that is a whole number of times finer in y and x.

    Returns
    -------
    Region or None
        Index ranges (z, y, x) in the scan; None where `fine` is no such volume, or lies outside.
    """
    scale = round(scan.spacing[1] / fine.spacing[1])
    if (
        scale < 1
        or any(length % scale for length in fine.shape[1:])
        or not same_direction(scan.direction, fine.direction)
    ):
        return None
    spacing, origin = coarsened_grid(fine.spacing, fine.origin, fine.direction, scale)
    if not same_spacing(spacing, scan.spacing):
        return None
    index = (np.linalg.inv(scan.affine) @ [*origin, 1.0])[2::-1]
    first = np.round(index).astype(int)
    shape = np.array([fine.shape[0], fine.shape[1] // scale, fine.shape[2] // scale])
    if np.abs(index - first).max() > _NEAR or (first < 0).any() or (first + shape > scan.shape).any():
        return None
    z, y, x = (slice(int(begin), int(begin + length)) for begin, length in zip(first, shape, strict=True))
    return z, y, x
