"""The smallest smooth correction after which an enhanced slice averages to the scan it was made from."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctloupe.networks.bicubic import enlarge_bicubic


def block_mean(fine: Tensor, scale: int) -> Tensor:
    """f↓: mean of every s×s block of ``(h·s, w·s)``, as ``(h, w)`` (JMI 2022, Eq. 4)."""
    # Rows are added first, a whole row at a time, which takes half as long as PyTorch's average pooling. That of
    # `scanner.tensor_operator` stays with pooling: networks hold it, and their reach and exports are found by it.
    rows = fine.unflatten(0, (-1, scale)).sum(1)
    return rows.unflatten(1, (-1, scale)).sum(2).div_(scale**2)


def difference(plane: Tensor, scan: Tensor, scale: int) -> NDArray[np.float32]:
    """f↓(SR) − scan: what the block means of `plane` ``(h·s, w·s)`` exceed `scan` ``(h, w)`` by, in HU."""
    return np.asarray((block_mean(plane, scale) - scan).numpy())


def make_consistent(plane: Tensor, scan: Tensor, mask: NDArray[np.bool_], scale: int) -> None:
    """Correct `plane` in place so that its block means equal the scan inside the mask.

    Parameters
    ----------
    plane : (h·s, w·s)
        Enhanced slice in HU.
    scan : (h, w)
        The slice it was made from, in HU.
    mask : (h, w)
        Where the means have to agree.
    scale
        Side s of a block.
    """
    if mask.any():
        missing = -difference(plane, scan, scale)
        plane += correction(np.where(mask, missing, 0).astype(np.float32), scale)


@lru_cache(maxsize=8)
def _inverse(length: int, scale: int) -> NDArray[np.float64]:
    """Inverse of f↓ after bicubic enlargement along one axis of `length` coarse voxels."""
    enlarged = enlarge_bicubic(torch.eye(length, dtype=torch.float64)[:, None, None, :].expand(-1, 1, 4, -1), scale)
    means = enlarged[:, 0, 0].unflatten(-1, (length, scale)).mean(-1)
    return np.linalg.inv(means.T.numpy())


def correction(missing: NDArray[np.float32], scale: int) -> Tensor:
    """Fine image whose block means are exactly `missing`, itself the bicubic enlargement of a coarse image.

    Enlarging and averaging act on rows and columns apart, so the coarse image is ``A⁻¹ · missing · B⁻ᵀ`` with one small
    matrix for each axis. No iteration is needed (Irani and Peleg's back-projection would converge to it), and
    nothing in it jumps at the border of a block, as adding each block's difference would.

    Parameters
    ----------
    missing : (h, w)
        What the means lack, in HU.
    scale
        Side of a block.
    """
    height, width = missing.shape
    coarse = _inverse(height, scale) @ missing.astype(np.float64) @ _inverse(width, scale).T
    return enlarge_bicubic(torch.from_numpy(coarse.astype(np.float32))[None, None], scale)[0, 0]
