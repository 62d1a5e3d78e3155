"""How the network's result goes over into the bicubic interpolation at the border of the mask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from ctloupe.networks.tile import Tile
from ctloupe.prepare.morphology import around

Mask = NDArray[np.bool_]
BLEND_MM: Final = 2.0
"""Distance in mm over which the result goes over, unless something else is asked for."""

_PART: Final = (128, 256)
"""Rows and columns of fine pixels that are blended together: few enough for the cache, and for PyTorch to use one
thread, which is twice as fast as two that wait for each other after every operation."""


class Blend:
    """Weight of the network over one slice, a function of the mask of the whole slice.

    At a point d mm inside the border of the mask the weight is t²(3 − 2t) with t = d / `distance_mm`, cut off at 0 and
    1: it rises smoothly from 0 at the border to 1 at the distance, and is 0 everywhere outside. d is the Euclidean
    distance of a coarse voxel's centre to the nearest centre outside the mask, less half a voxel, interpolated
    bilinearly to the fine grid. The edge of the slice is no border. Every fine pixel is computed from its own place
    alone, so that the weights of tiles are exactly those of the whole slice.

    With a distance of 0 the weight rises within half a coarse voxel at the border of the mask.

    With `outside` the mask is first grown within the slice by the distance and one voxel, so that all of what it was
    keeps the full weight and the weight falls to 0 around it.

    Parameters
    ----------
    mask : bool (h, w)
        Where the network is asked for in the slice.
    spacing
        Distance of rows and of columns in mm.
    distance_mm
        Distance in mm over which the weight rises.
    outside
        Whether it does so outside of the mask instead of inside.
    """

    def __init__(self, mask: Mask, spacing: tuple[float, float], distance_mm: float, *, outside: bool = False) -> None:
        self.mask = _grown(mask, spacing, distance_mm) if outside and distance_mm > 0 else mask
        self._depth = _depth(self.mask, spacing, distance_mm) if distance_mm > 0 else None

    @property
    def wanted(self) -> Mask:
        """Coarse voxels with some weight of the network in them, bool (h, w)."""
        if self._depth is not None:
            return self.mask
        # The bilinear weight of a hard border reaches half a voxel beyond the mask.
        return F.max_pool2d(torch.from_numpy(self.mask)[None].float(), 3, 1, 1)[0].numpy() > 0

    def parts(self, tile: Tile, scale: int) -> Iterator[Tile]:
        """Cut a tile into parts that are quick to blend, and leave out those without any weight of the network."""
        if self._depth is None:
            yield tile
            return
        rows, columns = (max(1, length // scale) for length in _PART)
        for y in range(*tile.y, rows):
            for x in range(*tile.x, columns):
                part = Tile((y, min(y + rows, tile.y[1])), (x, min(x + columns, tile.x[1])), tile.height, tile.width)
                if _with_neighbours(self._depth, part).max() > 0:
                    yield part

    def weight(self, tile: Tile, scale: int) -> Tensor | None:
        """Weight of the network over the pixels of `tile`.

        Returns
        -------
        Tensor ``(s·h, s·w)`` in [0, 1], or None where it is 1 throughout
        """
        if self._depth is None:
            return _hard_weight(self.mask, tile, scale)
        if _with_neighbours(self._depth, tile).min() >= 1:
            return None
        t = _enlarged(self._depth, tile, scale).clamp_(0, 1)
        weight = t.square()
        weight.mul_(t.mul_(-2).add_(3))
        # Beside a concave corner of the mask the interpolated distance is positive a little outside it.
        inside = self.mask[tile.y[0] : tile.y[1], tile.x[0] : tile.x[1]]
        if not inside.all():
            blocks = weight.view(inside.shape[0], scale, inside.shape[1], scale)
            blocks.mul_(torch.from_numpy(inside[:, None, :, None].astype(np.float32)))
        return weight


def _with_neighbours(coarse: NDArray[np.float32], tile: Tile) -> NDArray[np.float32]:
    """Coarse values that the pixels of a tile depend on."""
    return coarse[max(0, tile.y[0] - 1) : tile.y[1] + 1, max(0, tile.x[0] - 1) : tile.x[1] + 1]


def _grown(mask: Mask, spacing: tuple[float, float], distance_mm: float) -> Mask:
    """Grow the mask of a slice by the distance and a voxel: half a voxel of rising weight lies at either end."""
    if not mask.any():
        return mask
    reach, grown = distance_mm + max(spacing), np.zeros_like(mask)
    box = around(mask, reach, spacing)
    grown[box] = distance_transform_edt(~mask[box], sampling=spacing) <= reach
    return grown


def _depth(mask: Mask, spacing: tuple[float, float], distance_mm: float) -> NDArray[np.float32]:
    """Signed distance of each coarse voxel's centre to the border in units of `distance_mm`, as far as it is needed."""
    if mask.all():
        return np.ones(mask.shape, np.float32)
    distance = np.zeros(mask.shape)
    if mask.any():
        box = around(mask, 0.0, spacing)
        distance[box] = distance_transform_edt(mask[box], sampling=spacing)
    distance -= min(spacing) / 2
    return (distance / distance_mm).astype(np.float32)


def _enlarged(coarse: NDArray[np.float32], tile: Tile, scale: int) -> Tensor:
    """Bilinear interpolation of the whole slice `coarse` at the fine pixels of `tile`."""
    (above, below, down), (left, right, across) = (
        _neighbours(ends, length, scale) for ends, length in zip((tile.y, tile.x), coarse.shape, strict=True)
    )
    # Along the rows first, of which there are few yet; what is left is of whole rows, which are fetched fast.
    first = int(above[0])
    few = coarse[first : int(below[-1]) + 1]
    begun = few.take(left, 1)
    wide = torch.from_numpy(begun + (few.take(right, 1) - begun) * across)
    upper, lower = (wide.index_select(0, torch.from_numpy(rows - first)) for rows in (above, below))
    return upper.lerp_(lower, torch.from_numpy(down)[:, None])


def _neighbours(
    ends: tuple[int, int], length: int, scale: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Coarse indices before and after every fine pixel along an axis, and how far it is from the first."""
    place = (np.arange(ends[0] * scale, ends[1] * scale) + 0.5) / scale - 0.5
    before = np.floor(place).astype(np.intp)
    return before.clip(0), (before + 1).clip(None, length - 1), (place - before).astype(np.float32)


def _hard_weight(mask: Mask, tile: Tile, scale: int) -> Tensor | None:
    """0 outside the mask, rising to 1 within half a coarse voxel inside its edge; None where it is 1 throughout."""
    begin = max(0, tile.y[0] - 1), max(0, tile.x[0] - 1)
    part = mask[begin[0] : tile.y[1] + 1, begin[1] : tile.x[1] + 1]
    if part.all():
        return None
    coarse = torch.from_numpy(np.ascontiguousarray(part))[None, None].float()
    fine = F.interpolate(coarse, scale_factor=float(scale), mode="bilinear", align_corners=False)[0, 0]
    top, left = (tile.y[0] - begin[0]) * scale, (tile.x[0] - begin[1]) * scale
    rows, columns = (tile.y[1] - tile.y[0]) * scale, (tile.x[1] - tile.x[0]) * scale
    return fine[top : top + rows, left : left + columns].sub_(0.5).mul_(2).clamp_(0, 1)
