"""Interlobular septa as sheets that curve freely and end within the lung."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctloupe.phantom.anatomies.lung_b_parts.random_fields import Shape, enlarged, smooth_field

_STRIDE = 3
_BENT_MM = 16.0
_PATCHES_MM = 9.0
_PRESENT_ABOVE = 0.35


def sheets(
    shape: Shape, spacing: float, thickness: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Voxels of the nodal surfaces of a smooth random field where another one is high.

    Parameters
    ----------
    shape : (z, y, x)
        Number of voxels.
    spacing
        Edge of the isotropic voxels in mm.
    thickness
        Thickness in the middle of a sheet in mm; towards its edge it thins out.
    rng
        Decides the fields.

    Returns
    -------
    where : int64 array
        Flat indices of the voxels that sheets touch.
    share : float32 array
        Share of each that they fill.
    """
    z, y, x = (max(2, -(-length // _STRIDE)) for length in shape)
    coarse = (z, y, x)
    step = spacing * np.array(shape) / coarse
    bent = smooth_field(coarse, _BENT_MM / float(step.mean()), rng)
    present = smooth_field(coarse, _PATCHES_MM / float(step.mean()), rng)
    slope = np.sqrt(sum(np.square(part) for part in np.gradient(bent, *step)))
    away = np.abs(enlarged(bent, shape)) / np.maximum(enlarged(slope, shape), 0.1 * 2 * np.pi / _BENT_MM)
    full = np.clip(3 * (enlarged(present, shape) - _PRESENT_ABOVE), 0, 1) * np.float32(thickness)
    share = np.clip((full + spacing) / 2 - away, 0, np.minimum(full, spacing)) / spacing
    where = np.flatnonzero(share > 0)
    return where, share.reshape(-1)[where].astype(np.float32)
