"""From a fine image to a coarse one: the reductions by which papers make pairs for training. They are no scanners."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ctloupe.networks.bicubic import shrink_bicubic


def shrink_and_add_noise(image: Tensor, scale: int, noise: float) -> Tensor:
    """Bicubic reduction plus white Gaussian noise of standard deviation `noise`, kept in [−1, 1] (ISBI 2021).

    The noise comes from PyTorch's global generator, whose state a checkpoint keeps.
    """
    small = shrink_bicubic(image, scale)
    return (small + noise * torch.randn_like(small)).clamp(-1, 1)


def gaussian_pyramid(image: Tensor, steps: int) -> Tensor:
    """Halve the size `steps` times: binomial blur, then every second place (Burt and Adelson 1983).

    The classical five taps would keep the first pixel of each pair and so shift the image by half a fine pixel a
    step; the six taps 1, 5, 10, 10, 5, 1 keep the middle of each pair in place.

    Parameters
    ----------
    image : (n, c, h·2^steps, w·2^steps)
    steps
        How often; 3 for ×8.

    Returns
    -------
    Tensor of shape (n, c, h, w)
    """
    taps = torch.tensor([1.0, 5.0, 10.0, 10.0, 5.0, 1.0], device=image.device, dtype=image.dtype) / 32
    count = image.shape[1]
    for _ in range(steps):
        padded = F.pad(image, (2, 2, 2, 2), mode="replicate")
        rows = F.conv2d(padded, taps.view(1, 1, 6, 1).expand(count, 1, 6, 1), stride=(2, 1), groups=count)
        image = F.conv2d(rows, taps.view(1, 1, 1, 6).expand(count, 1, 1, 6), stride=(1, 2), groups=count)
    return image
