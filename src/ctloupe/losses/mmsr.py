"""Multi-modality super-resolution (MMSR) terms: an image and its enlargement must show the same thing.

JMI 2022, Eqs. 4 to 7; first in SPIE 2020. ``f_down`` averages s×s blocks, ``f_up`` repeats each pixel s×s times.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ctloupe.images.corner_zoom import corner_zoom_matrix
from ctloupe.losses.ssim import SSIMKind, ssim_loss
from ctloupe.scanner.tensor_operator import block_mean

DistanceKind = Literal["l1", "l2"]


def f_down(image: Tensor, scale: int) -> Tensor:
    """Average pooling of ``(n, c, s·h, s·w)`` to ``(n, c, h, w)``."""
    return block_mean(image, scale)


def f_up(image: Tensor, scale: int) -> Tensor:
    """Nearest-neighbour enlargement of ``(n, c, h, w)`` to ``(n, c, s·h, s·w)``."""
    return F.interpolate(image, scale_factor=float(scale), mode="nearest")


def corner_zoom(image: Tensor, scale: int) -> Tensor:
    """Reduce ``(n, c, s·h, s·w)`` to ``(n, c, h, w)`` as the code of JMI 2022 does; see `corner_zoom_matrix`."""
    rows, columns = (
        torch.tensor(corner_zoom_matrix(size, scale), dtype=image.dtype, device=image.device)
        for size in image.shape[-2:]
    )
    return rows @ image @ columns.mT


def distance(a: Tensor, b: Tensor, kind: DistanceKind = "l2") -> Tensor:
    """Mean squared difference (``l2``) or mean absolute difference (``l1``)."""
    return F.mse_loss(a, b) if kind == "l2" else F.l1_loss(a, b)


def mmsr_terms(
    low: Tensor,
    high_of_low: Tensor,
    high: Tensor,
    low_of_high: Tensor,
    scale: int,
    *,
    ssim: SSIMKind = "global",
    metric: DistanceKind = "l2",
) -> dict[str, Tensor]:
    """The four unweighted MMSR terms.

    Parameters
    ----------
    low, high
        Clinical patch x ``(n, 1, h, w)`` and µCT patch y ``(n, 1, s·h, s·w)``.
    high_of_low, low_of_high
        x_SR = G1(x) and y_LR = G2(y).
    scale
        In-plane enlargement s.
    ssim
        Window of the SSIM terms.
    metric
        Distance of the down- and upsample terms.

    Returns
    -------
    dict
        ``ssim_clinical`` = 1 − SSIM(x, f↓(x_SR)), ``ssim_micro`` = 1 − SSIM(y, f↑(y_LR)),
        ``downsample`` = d(x, f↓(x_SR)), ``upsample`` = d(y, f↑(y_LR)).
    """
    back_down, back_up = f_down(high_of_low, scale), f_up(low_of_high, scale)
    return {
        "ssim_clinical": ssim_loss(low, back_down, ssim),
        "ssim_micro": ssim_loss(high, back_up, ssim),
        "downsample": distance(low, back_down, metric),
        "upsample": distance(high, back_up, metric),
    }
