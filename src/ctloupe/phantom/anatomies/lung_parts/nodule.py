"""A lobulated nodule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def lobulated_nodule(
    shape: tuple[int, int, int], spacing: float, rng: np.random.Generator
) -> tuple[tuple[slice, ...], NDArray[np.float32]]:
    """A ball whose radius swells and shrinks by a few smooth lobes.

    Parameters
    ----------
    shape : (z, y, x)
        Number of voxels of the whole block.
    spacing
        Edge of the isotropic voxels in mm.
    rng
        Decides size, place and lobes.

    Returns
    -------
    block
        Part of the grid that the nodule lies in.
    share : float32 array over the block
        Share of every voxel inside the nodule, 0 to 1.
    """
    extent = np.array(shape) * spacing
    radius = min(float(rng.uniform(1.5, 3.0)), 0.22 * float(extent[1:].min()))
    centre = extent / 2 + rng.uniform(-0.2, 0.2, 3) * np.maximum(extent - 2 * radius, 0)
    low = np.maximum(((centre - 1.4 * radius) / spacing).astype(int), 0)
    high = np.minimum(((centre + 1.4 * radius) / spacing).astype(int) + 2, shape)
    block = tuple(slice(begin, end) for begin, end in zip(low, high, strict=True))
    z, y, x = (
        (axis * spacing - middle).astype(np.float32) for axis, middle in zip(np.ogrid[block], centre, strict=True)
    )
    away = np.sqrt(z * z + y * y + x * x)
    lobes = np.zeros_like(away)
    for wave in rng.normal(size=(6, 3)):
        wave *= rng.uniform(3.0, 6.0) / np.linalg.norm(wave)
        lobes += np.cos((z * wave[0] + y * wave[1] + x * wave[2]) / radius + rng.uniform(0, 6.28))
    return block, np.clip(0.5 + (radius * (1 + 0.05 * lobes) - away) / spacing, 0, 1)
