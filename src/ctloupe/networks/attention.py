"""Residual channel attention network (RCAN, Zhang et al. 2018, arXiv:1807.02758)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ctloupe.networks.blocks import SubPixelStep, convolution, full_precision, steps_of_two
from ctloupe.networks.generators import enlarge_bicubic


class ChannelAttention(nn.Module):
    """Weighs every feature map by what its mean over the image says (RCAN, Eq. 6 to 9).

    The mean makes the output depend on the whole image, so that tiles of a slice do not equal the slice.

    Parameters
    ----------
    channels
        Width of input and output.
    reduction
        Of the width in between.
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


class RCAN(nn.Module):
    """LR to HR: residual groups under one long skip, sub-pixel steps, last convolution.

    Parameters
    ----------
    scale
        2, 4, 8 or 16.
    width
        Feature maps.
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
        super().__init__()
        steps = steps_of_two(scale)
        if narrowing and width % scale:
            raise ValueError(f"width {width} must be divisible by the scale {scale}")
        widths = [width >> step if narrowing else width for step in range(steps + 1)]
        self.scale, self.bicubic_skip = scale, bicubic_skip
        self.head = convolution(1, width, 3)
        self.trunk = nn.Sequential(
            *(AttentionGroup(width, blocks) for _ in range(groups)), convolution(width, width, 3)
        )
        self.tail = nn.Sequential(
            *(SubPixelStep(widths[step], widths[step + 1], normalised=False) for step in range(steps))
        )
        self.last = convolution(widths[-1], 1, 3)

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, h, w)`` in [−1, 1] to ``(n, 1, s·h, s·w)`` in [−1, 1]."""
        return self.render(self.features(image), image)

    def features(self, image: Tensor) -> Tensor:
        """All that is computed on the coarse grid: ``(n, 1, h, w)`` to ``(n, c, h, w)``."""
        features = self.head(image)
        return torch.add(features, self.trunk(features))

    def render(self, features: Tensor, image: Tensor) -> Tensor:
        """From those features, and the image they come from, to ``(n, 1, s·h, s·w)``."""
        result = full_precision(self.last(self.tail(features)))
        if self.bicubic_skip:
            result = result + enlarge_bicubic(image, self.scale)
        return result.clamp(-1, 1)
