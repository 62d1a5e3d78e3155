"""Whether an enhanced volume agrees with its scan: what it is, averaged over the scan's voxels, minus the scan."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.scanner.voxel import block_mean
from ctloupe.volume.volume import LazyArray, Volume

_ON_GRID: Final = 0.02
"""Largest distance from the scan's grid, in voxels of it."""


def scan_offset(scan: Volume, enhanced: Volume) -> tuple[int, tuple[int, int, int]] | None:
    """Return the enlargement of an enhanced volume, and the scan's voxel (z, y, x) that its first ones lie in.

    None where it does not divide the voxels of `scan` evenly in-plane, or lies outside of them.
    """
    ratio = scan.spacing[1] / enhanced.spacing[1], scan.spacing[2] / enhanced.spacing[2]
    scale = round(ratio[0])
    turned = np.abs(np.subtract(scan.direction, enhanced.direction)).max() > 1e-4
    if turned or scale < 1 or max(abs(one - scale) for one in ratio) > 1e-3 * scale:
        return None
    if abs(scan.spacing[0] / enhanced.spacing[0] - 1) > 1e-3 or enhanced.shape[1] % scale or enhanced.shape[2] % scale:
        return None
    middle = (scale - 1) / 2
    corner = np.linalg.inv(scan.affine) @ np.array([*enhanced.physical((0.0, middle, middle)), 1.0])
    z, y, x = corner[2], corner[1], corner[0]
    first = (round(z), round(y), round(x))
    if max(abs(one - whole) for one, whole in zip((z, y, x), first, strict=True)) > _ON_GRID:
        return None
    size = enhanced.shape[0], enhanced.shape[1] // scale, enhanced.shape[2] // scale
    inside = all(one >= 0 and one + length <= most for one, length, most in zip(first, size, scan.shape, strict=True))
    return (scale, first) if inside else None


def disagreement(scan: Volume, enhanced: Volume) -> Volume | None:
    """Return the block means of an enhanced volume minus the scan, on the part of the scan's grid that it covers.

    The slices are computed when they are read. None where the volume is no enhancement of the scan: see `scan_offset`.
    """
    found = scan_offset(scan, enhanced)
    if found is None or scan.units != enhanced.units:
        return None
    scale, (z0, y0, x0) = found
    depth, height, width = enhanced.shape[0], enhanced.shape[1] // scale, enhanced.shape[2] // scale
    part = scan.crop(slice(z0, z0 + depth), slice(y0, y0 + height), slice(x0, x0 + width))

    def read(block: tuple[slice, slice, slice]) -> NDArray[Any]:
        z, y, x = block
        fine = slice(y.start * scale, y.stop * scale), slice(x.start * scale, x.stop * scale)
        means = [
            block_mean(np.asarray(enhanced.data[one : one + 1, fine[0], fine[1]])[0], scale)
            for one in range(z.start, z.stop)
        ]
        return np.stack(means) - np.asarray(part.data[z, y, x], np.float32)

    data = LazyArray((depth, height, width), np.float32, read, "agreement with the scan")
    return part.with_data(data, "block means of an enhanced volume minus the scan")
