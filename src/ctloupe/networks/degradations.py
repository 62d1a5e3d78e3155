"""From a fine image to a coarse one: the simulated scanners that supervised methods are trained with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def shrink_bicubic(image: Tensor, scale: int) -> Tensor:
    """Bicubic reduction with antialiasing about voxel centres, exact for linear images away from the border.

    Parameters
    ----------
    image : (n, c, s·h, s·w)
    scale
        Whole factor s in both directions.

    Returns
    -------
    Tensor of shape (n, c, h, w)
    """
    size = (image.shape[-2] // scale, image.shape[-1] // scale)
    return F.interpolate(image, size=size, mode="bicubic", align_corners=False, antialias=True)


def shrink_and_add_noise(image: Tensor, scale: int, noise: float) -> Tensor:
    """Bicubic reduction plus white Gaussian noise of standard deviation `noise`, kept in [−1, 1] (ISBI 2021).

    The noise comes from PyTorch's global generator, whose state a checkpoint keeps.
    """
    small = shrink_bicubic(image, scale)
    return (small + noise * torch.randn_like(small)).clamp(-1, 1)
