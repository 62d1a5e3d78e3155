"""A super-resolution network without normalisation, whose last step keeps its output consistent with its input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ctloupe.losses.mmsr import f_down
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.blocks import convolution, full_precision
from ctloupe.networks.sub_pixel_shell import SubPixelShell


class PlainBlock(nn.Module):
    """3×3, PReLU, 3×3, scaled, plus the input (EDSR, Lim et al. 2017, arXiv:1707.02921).

    Parameters
    ----------
    channels
        Width of input and output.
    scaling
        Factor of what the block adds to its input.
    """

    def __init__(self, channels: int, scaling: float) -> None:
        super().__init__()
        self.scaling = scaling
        self.body = nn.Sequential(convolution(channels, channels, 3), nn.PReLU(), convolution(channels, channels, 3))

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        return torch.add(features, self.body(features), alpha=self.scaling)


class PlainSRNet(SubPixelShell):
    """LR to HR without any normalisation, so that every output depends on its receptive field alone.

    First convolution, residual blocks under one long skip, sub-pixel steps, last convolution: EDSR, with its width
    halved at each step and its result added to the bicubic enlargement unless told otherwise. Then, `corrections`
    times, what f↓(SR) lacks of the input is enlarged and added (iterated back-projection, Irani and Peleg 1991,
    doi:10.1016/1049-9652(91)90045-L).

    Parameters
    ----------
    scale
        2, 4, 8 or 16.
    width
        Feature maps at LR size; when narrowing, must be divisible by `scale`.
    blocks
        Residual blocks.
    scaling
        Factor of what each block adds to its input.
    narrowing
        Halve the width at each sub-pixel step.
    bicubic_skip
        Add the bicubic enlargement of the input.
    corrections
        Back-projections after the network.
    strength
        Share of the missing difference that each of them adds, in [0, 1].
    """

    def __init__(
        self,
        scale: int = 8,
        width: int = 64,
        blocks: int = 8,
        *,
        scaling: float = 0.5,
        narrowing: bool = True,
        bicubic_skip: bool = True,
        corrections: int = 0,
        strength: float = 1.0,
    ) -> None:
        super().__init__(
            scale,
            width,
            head=convolution(1, width, 3),
            trunk=nn.Sequential(*(PlainBlock(width, scaling) for _ in range(blocks)), convolution(width, width, 3)),
            last_kernel=5,
            narrowing=narrowing,
            bounded=False,
            bicubic_skip=bicubic_skip,
        )
        self.corrections, self.strength = corrections, strength

    def fine_image(self, features: Tensor, image: Tensor) -> Tensor:
        """Return the output, back-projected, before it is clamped to [−1, 1]."""
        result = super().fine_image(features, image)
        low = full_precision(image)
        for _ in range(self.corrections):
            missing = low - f_down(result, self.scale)
            result = torch.add(result, enlarge_bicubic(missing, self.scale), alpha=self.strength)
        return result
