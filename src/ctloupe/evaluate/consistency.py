"""Consistency: does the enhanced volume, averaged back down, say what the scan said?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Consistency:
    """Of f↓(SR) − scan over the compared voxels, in HU: root mean square, mean, and largest magnitude."""

    rms_hu: float
    bias_hu: float
    max_abs_hu: float


def block_mean(image: NDArray[Any], scale: int) -> NDArray[np.float32]:
    """f↓: mean over s×s blocks of the last two axes, whose lengths must be multiples of `scale`."""
    *rest, height, width = image.shape
    if height % scale or width % scale:
        raise ValueError(f"{height}×{width} pixels cannot be cut into blocks of {scale}×{scale}")
    blocks = image.reshape(*rest, height // scale, scale, width // scale, scale)
    return blocks.mean(axis=(-3, -1), dtype=np.float32)


def consistency_map(enhanced: NDArray[Any], scan: NDArray[Any], *, scale: int) -> NDArray[np.float32]:
    """f↓(SR) − scan at each voxel of the scan, in HU."""
    return block_mean(enhanced, scale) - np.asarray(scan, dtype=np.float32)


def consistency(enhanced: Any, scan: Any, *, scale: int, mask: NDArray[np.bool_] | None = None) -> Consistency:
    """Compare an enhanced volume with the scan it came from; one slice in memory at a time.

    Parameters
    ----------
    enhanced : (z, s·y, s·x)
        In HU; array or lazily read.
    scan : (z, y, x)
        In HU.
    scale
        s.
    mask
        Voxels of the scan that count; None: all.

    Raises
    ------
    ValueError
        If the shapes do not belong together or the mask is empty.
    """
    z, y, x = scan.shape
    if tuple(enhanced.shape) != (z, y * scale, x * scale):
        raise ValueError(f"enhanced {tuple(enhanced.shape)} is not {scale} times the scan {tuple(scan.shape)}")
    squares = total = largest = 0.0
    count = 0
    for index in range(z):
        if mask is not None and not mask[index].any():
            continue
        off = consistency_map(np.asarray(enhanced[index]), np.asarray(scan[index]), scale=scale)
        counted = off.ravel() if mask is None else off[mask[index]]
        squares += float(np.square(counted).sum(dtype=np.float64))
        total += float(counted.sum(dtype=np.float64))
        largest = max(largest, float(np.abs(counted).max()))
        count += counted.size
    if count == 0:
        raise ValueError("the mask is empty: there is nothing to compare")
    return Consistency(float(np.sqrt(squares / count)), total / count, largest)
