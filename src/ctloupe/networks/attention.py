"""Residual channel attention network (RCAN, Zhang et al. 2018, arXiv:1807.02758)."""

from __future__ import annotations

from torch import Tensor, nn

from ctloupe.networks.blocks import convolution
from ctloupe.networks.sub_pixel_shell import SubPixelShell


class ChannelAttention(nn.Module):
    """Weighs every feature map by a function of the means of all maps over the image (RCAN, channel attention).

    The mean makes the output depend on the whole image, so that tiles of a slice do not equal the slice.

    Parameters
    ----------
    channels
        Width of input and output.
    reduction
        The width in between is `channels` divided by this, 1 at least.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        inner = max(1, channels // reduction)
        self.weights = nn.Sequential(
            nn.Conv2d(channels, inner, 1), nn.ReLU(inplace=True), nn.Conv2d(inner, channels, 1), nn.Sigmoid()
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        return features * self.weights(features.mean((2, 3), keepdim=True))


class AttentionBlock(nn.Module):
    """3×3, ReLU, 3×3, channel attention, plus the input (RCAN, Fig. 4).

    Parameters
    ----------
    channels
        Width of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, channels, 3),
            nn.ReLU(inplace=True),
            convolution(channels, channels, 3),
            ChannelAttention(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        return features + self.body(features)


class AttentionGroup(nn.Module):
    """Attention blocks and a convolution under one skip (RCAN, Fig. 2).

    Parameters
    ----------
    channels
        Width of input and output.
    blocks
        Attention blocks.
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(AttentionBlock(channels) for _ in range(blocks)), convolution(channels, channels, 3)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        return features + self.body(features)


class RCAN(SubPixelShell):
    """LR to HR: residual groups under one long skip, sub-pixel steps, last convolution.

    Parameters
    ----------
    scale
        2, 4, 8 or 16.
    width
        Feature maps at LR size; when narrowing, must be divisible by `scale`.
    groups, blocks
        Residual groups, and attention blocks in each.
    narrowing
        Halve the width at each sub-pixel step.
    bicubic_skip
        Add the bicubic enlargement of the input. Not in the paper.
    """

    def __init__(
        self,
        scale: int = 8,
        width: int = 64,
        groups: int = 10,
        blocks: int = 20,
        narrowing: bool = False,
        bicubic_skip: bool = False,
    ) -> None:
        super().__init__(
            scale,
            width,
            head=convolution(1, width, 3),
            trunk=nn.Sequential(*(AttentionGroup(width, blocks) for _ in range(groups)), convolution(width, width, 3)),
            last_kernel=3,
            narrowing=narrowing,
            bounded=False,
            bicubic_skip=bicubic_skip,
        )
