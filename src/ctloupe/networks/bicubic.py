"""Bicubic enlargement and reduction about voxel centres, on tensors."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ctloupe.networks.blocks import full_precision


def enlarge_bicubic(image: Tensor, scale: int) -> Tensor:
    """Bicubic enlargement about voxel centres, exact for linear images.

    PyTorch's plain bicubic uses Keys' a = −0.75, which does not reproduce a ramp; its antialiased variant uses
    a = −0.5, which does, and enlarging leaves the antialiasing filter without effect.

    Parameters
    ----------
    image : (n, c, h, w)
    scale
        Whole factor in both directions.

    Returns
    -------
    Tensor of shape (n, c, scale·h, scale·w)
        The enlarged images, in float32 where `image` is in half precision.
    """
    size = (image.shape[-2] * scale, image.shape[-1] * scale)
    return F.interpolate(full_precision(image), size=size, mode="bicubic", align_corners=False, antialias=True)


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
