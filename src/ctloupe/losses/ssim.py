"""Structural similarity as a differentiable loss."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

SSIMKind = Literal["global", "gaussian", "gaussian-padded"]

GLOBAL_CONSTANTS = (0.02, 0.06)
"""C1 and C2 of SPIE 2020 and Synth 2020, for images in [−1, 1]."""

GAUSSIAN_CONSTANTS = (0.01**2, 0.03**2)
"""C1 and C2 of the code released with JMI 2022, which are those of Wang et al. 2004 for images in [0, 1]."""


def _ssim(mean_a: Tensor, mean_b: Tensor, aa: Tensor, bb: Tensor, ab: Tensor, c1: float, c2: float) -> Tensor:
    """SSIM from the means of a, b, a², b² and a·b."""
    product = mean_a * mean_b
    squares = mean_a.square() + mean_b.square()
    numerator = (2 * product + c1) * (2 * (ab - product) + c2)
    return numerator / ((squares + c1) * (aa + bb - squares + c2))


def ssim_global(a: Tensor, b: Tensor, constants: tuple[float, float] = GLOBAL_CONSTANTS) -> Tensor:
    """SSIM with one window over each whole image (JMI 2022, Eq. 3; SPIE 2020 with N = 1).

    JMI prints the luminance numerator without its factor 2, which would make SSIM(a, a) differ from 1; the
    factor is kept here.

    Parameters
    ----------
    a, b : (n, 1, h, w)
    constants
        The constants C1 and C2.

    Returns
    -------
    Tensor of shape (n,), each in [−1, 1]
    """
    a, b = a.float(), b.float()
    dims = (1, 2, 3)
    return _ssim(
        a.mean(dims),
        b.mean(dims),
        a.square().mean(dims),
        b.square().mean(dims),
        (a * b).mean(dims),
        *constants,
    )


def _gaussian(size: int, sigma: float, like: Tensor) -> Tensor:
    at = torch.arange(size, device=like.device, dtype=like.dtype) - (size - 1) / 2
    kernel = torch.exp(-at.square() / (2 * sigma**2))
    return kernel / kernel.sum()


def ssim_gaussian(
    a: Tensor, b: Tensor, constants: tuple[float, float] = GAUSSIAN_CONSTANTS, *, padded: bool = False
) -> Tensor:
    """Mean SSIM over 11×11 Gaussian windows (σ = 1.5; Wang et al. 2004).

    Parameters
    ----------
    a, b : (n, 1, h, w) with h, w ≥ 11
    constants
        The constants C1 and C2.
    padded
        Count a window about every pixel, with zeros beyond the border, as the code released with JMI 2022 does, instead
        of those alone that lie inside the image. The values differ.

    Returns
    -------
    Tensor of shape (n,), each in [−1, 1]
    """
    a, b = a.float(), b.float()
    kernel = _gaussian(11, 1.5, a)
    fields = torch.cat([a, b, a * a, b * b, a * b], dim=1)
    count, rim = fields.shape[1], 5 if padded else 0
    fields = F.conv2d(fields, kernel.view(1, 1, 1, -1).expand(count, 1, 1, -1), padding=(0, rim), groups=count)
    fields = F.conv2d(fields, kernel.view(1, 1, -1, 1).expand(count, 1, -1, 1), padding=(rim, 0), groups=count)
    mean_a, mean_b, aa, bb, ab = fields.unbind(1)
    return _ssim(mean_a, mean_b, aa, bb, ab, *constants).mean((1, 2))


def ssim_loss(a: Tensor, b: Tensor, kind: SSIMKind = "global") -> Tensor:
    """1 − SSIM, averaged over the batch, in [0, 2]."""
    if kind == "global":
        return 1 - ssim_global(a, b).mean()
    return 1 - ssim_gaussian(a, b, padded=kind == "gaussian-padded").mean()
