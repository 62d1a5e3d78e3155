"""A volume, slice by slice and tile by tile, through a function from scans to images on the fine grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ctloupe.evaluate.alignment import interpolated
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.volume import LazyArray, Volume

Enhance = Callable[[Tensor], Tensor]
TILE, MARGIN = 96, 8
"""Side of a tile on the scan's grid, and what it sees beyond: memory does not grow with a slice."""


def enhanced_slice(scan: Tensor, scale: int, enhance: Enhance) -> Tensor:
    """Enhance a slice ``(h, w)`` in [−1, 1] to ``(s·h, s·w)``; tiles see a margin around them."""
    height, width = scan.shape
    made = torch.empty(height * scale, width * scale)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            first = max(0, top - MARGIN), max(0, left - MARGIN)
            part = scan[first[0] : top + TILE + MARGIN, first[1] : left + TILE + MARGIN]
            image = enhance(part[None, None])[0, 0]
            rows, columns = (min(start + TILE, end) - start for start, end in ((top, height), (left, width)))
            y, x = (top - first[0]) * scale, (left - first[1]) * scale
            made[top * scale : (top + rows) * scale, left * scale : (left + columns) * scale] = image[
                y : y + rows * scale, x : x + columns * scale
            ]
    return made.clamp(-1, 1)


def enhanced_volume(
    scan: Volume, scale: int, window: IntensityWindow, enhance: Enhance, name: str, seed: int = 0
) -> Volume:
    """Describe an enhanced scan, in HU on the grid that is `scale` times finer; a slice is made when it is read.

    Random numbers of a slice follow from `seed` and its index.
    """
    grid = interpolated(scan, scale)

    def read(block: tuple[slice, slice, slice]) -> np.ndarray:
        planes = []
        for index in range(block[0].start, block[0].stop):
            with torch.random.fork_rng():
                torch.manual_seed(seed * 100_003 + index)
                unit = torch.from_numpy(window.to_unit(np.asarray(scan.data[index])).astype(np.float32))
                plane = window.from_unit(enhanced_slice(unit, scale, enhance).numpy())
            planes.append(np.rint(plane).astype(np.int16)[block[1], block[2]])
        return np.stack(planes)

    return grid.with_data(LazyArray(grid.shape, np.int16, read, name), f"enhanced by {name}", modality="unknown")
