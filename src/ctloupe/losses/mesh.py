"""A penalty on errors that repeat with the grid of the scan."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def mesh_power(error: Tensor, scale: int, reach: int = 8, other: Tensor | None = None) -> Tensor:
    """Return the power of what an error has in common from one scan voxel to the next, by place within the voxel.

    An error that knows nothing of the scan's grid has next to none; a mesh, whichever its pattern, has all of its power
    in it.

    Parameters
    ----------
    error : (n, 1, s·h, s·w)
        Difference to the truth.
    scale
        s.
    reach
        Scan voxels in each direction over which a mesh is taken to be constant.
    other
        Another error whose chance is independent, of the same shape: then only what both have in common counts, which
        for no mesh is 0 on average, and not the power that is left of chance.

    Returns
    -------
    Tensor of no dimensions
        Mean square.
    """
    mine = _by_place(error, scale, reach)
    return (mine * (mine if other is None else _by_place(other, scale, reach))).mean()


def _by_place(error: Tensor, scale: int, reach: int) -> Tensor:
    """Averages over so many scan voxels, for every place within a voxel, about the mean of all places."""
    by_place = F.pixel_unshuffle(error, scale)
    side = min(reach, *by_place.shape[-2:])
    shared = F.avg_pool2d(by_place, side, stride=max(1, side // 2))
    return shared - shared.mean(1, keepdim=True)
