"""Blobs with an irregular surface: nodules, and holes of destroyed tissue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctloupe.phantom.anatomies.lung_b_parts.random_fields import Shape, smooth_field

_WIDEST = 1.9


def blob(
    shape: Shape, spacing: float, radius: float, roughness: float, rng: np.random.Generator
) -> tuple[tuple[slice, ...], NDArray[np.float32]]:
    """A ball whose surface is moved in and out by a random field, coarse and fine.

    Parameters
    ----------
    shape : (z, y, x)
        Number of voxels of the whole block.
    spacing
        Edge of the isotropic voxels in mm.
    radius
        Mean radius in mm; smaller where the block is small.
    roughness
        Standard deviation of the surface's movement as a part of the radius.
    rng
        Decides place and surface.

    Returns
    -------
    block
        Part of the grid that the blob lies in.
    share : float32 array over the block
        Share of every voxel inside the blob, 0 to 1.
    """
    extent = np.array(shape) * spacing
    radius = min(radius, 0.22 * float(extent[1:].min()))
    centre = extent / 2 + rng.uniform(-0.35, 0.35, 3) * np.maximum(extent - 2 * radius, 0)
    low = np.maximum(((centre - _WIDEST * radius) / spacing).astype(int), 0)
    high = np.minimum(((centre + _WIDEST * radius) / spacing).astype(int) + 2, shape)
    block = tuple(slice(int(begin), int(end)) for begin, end in zip(low, high, strict=True))
    z, y, x = (
        (axis * spacing - middle).astype(np.float32) for axis, middle in zip(np.ogrid[block], centre, strict=True)
    )
    inside = radius - np.sqrt(z * z + y * y + x * x)
    size = (inside.shape[0], inside.shape[1], inside.shape[2])
    moved = smooth_field(size, 1.4 * radius / spacing, rng) + 0.4 * smooth_field(size, 0.5 * radius / spacing, rng)
    # Limited, so that the blob ends inside the block.
    inside += np.float32(roughness * radius) * np.clip(moved, -2.2, 2.2)
    return block, np.clip(0.5 + inside / spacing, 0, 1)
