"""How the network's image passes into the bicubic one at the border of the mask."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ctloupe.networks.tile import Tile


def mask_weight(mask: NDArray[np.bool_], tile: Tile, scale: int) -> Tensor | None:
    """Weight of the network over a tile: 0 outside the mask, rising to 1 within half a coarse voxel inside its edge.

    Returns
    -------
    Tensor ``(s·h, s·w)``, or None where it is 1 throughout.
    """
    begin = max(0, tile.y[0] - 1), max(0, tile.x[0] - 1)
    part = mask[begin[0] : tile.y[1] + 1, begin[1] : tile.x[1] + 1]
    if part.all():
        return None
    coarse = torch.from_numpy(np.ascontiguousarray(part))[None, None].float()
    fine = F.interpolate(coarse, scale_factor=float(scale), mode="bilinear", align_corners=False)[0, 0]
    top, left = (tile.y[0] - begin[0]) * scale, (tile.x[0] - begin[1]) * scale
    rows, columns = (tile.y[1] - tile.y[0]) * scale, (tile.x[1] - tile.x[0]) * scale
    return fine[top : top + rows, left : left + columns].sub_(0.5).mul_(2).clamp_(0, 1)
