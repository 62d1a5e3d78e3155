"""U-Net (Ronneberger et al. 2015, arXiv:1505.04597) on the enlarged image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.blocks import convolution, full_precision, norm, reflected_to_multiple


class DoubleConvolution(nn.Sequential):
    """A 3×3 convolution, norm and ReLU, twice.

    Parameters
    ----------
    channels_in, channels_out
        Feature maps of the input and of the output.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            convolution(channels_in, channels_out, 3),
            norm(channels_out),
            nn.ReLU(inplace=True),
            convolution(channels_out, channels_out, 3),
            norm(channels_out),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    """Contracting and expanding path with connections between equal sizes; the size is kept.

    Parameters
    ----------
    levels
        Number of halvings.
    width
        Feature maps at full size; they double at each halving.
    """

    def __init__(self, levels: int = 4, width: int = 64) -> None:
        super().__init__()
        widths = [width << level for level in range(levels + 1)]
        self.first = DoubleConvolution(1, width)
        self.down = nn.ModuleList(DoubleConvolution(widths[i], widths[i + 1]) for i in range(levels))
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(widths[i + 1], widths[i], 2, stride=2) for i in reversed(range(levels))
        )
        self.up = nn.ModuleList(DoubleConvolution(2 * widths[i], widths[i]) for i in reversed(range(levels)))
        self.last = nn.Conv2d(width, 1, 1)
        self._multiple = 1 << levels

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, H, W)`` to the same shape; other multiples than of ``2^levels`` are padded by reflection."""
        height, width = image.shape[-2:]
        features = self.first(reflected_to_multiple(image, self._multiple))
        kept = []
        for down in self.down:
            kept.append(features)
            features = down(F.max_pool2d(features, 2))
        for enlarge, up in zip(self.enlarge, self.up, strict=True):
            features = up(torch.cat([kept.pop(), enlarge(features)], dim=1))
        return self.last(features)[..., :height, :width]


class EnlargeAndRefine(nn.Module):
    """Bicubic enlargement to which a U-Net adds what is missing.

    Parameters
    ----------
    scale
        In-plane enlargement.
    levels, width
        Halvings of the U-Net and its feature maps at full size.
    residual
        Add the U-Net's output to the enlargement; otherwise it replaces it.
    """

    def __init__(self, scale: int, levels: int, width: int, residual: bool) -> None:
        super().__init__()
        self.scale, self.residual = scale, residual
        self.unet = UNet(levels, width)

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, h, w)`` in [−1, 1] to ``(n, 1, s·h, s·w)`` in [−1, 1]."""
        large = enlarge_bicubic(image, self.scale)
        result = full_precision(self.unet(large))
        return (large + result if self.residual else result).clamp(-1, 1)
