"""The generator of ESRGAN: residual-in-residual dense blocks (Wang et al. 2018, arXiv:1809.00219)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.blocks import convolution, full_precision, steps_of_two
from ctloupe.networks.split import SplitNetwork

BRANCH_SCALING = 0.2
"""Factor of what every residual branch adds (ESRGAN, Sec. 3.1)."""


class DenseBlock(nn.Module):
    """Five 3×3 convolutions, each of which sees the outputs of all before it.

    Parameters
    ----------
    width
        Feature maps in and out.
    growth
        Feature maps that each of the first four adds.
    """

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            convolution(width + index * growth, growth if index < 4 else width, 3) for index in range(5)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        seen = [features]
        for layer in self.convolutions[:4]:
            seen.append(F.leaky_relu(layer(torch.cat(seen, dim=1)), 0.2))
        return torch.add(features, self.convolutions[4](torch.cat(seen, dim=1)), alpha=BRANCH_SCALING)


class ResidualInResidual(nn.Module):
    """Three dense blocks under one scaled skip (ESRGAN, Fig. 4).

    Parameters
    ----------
    width
        Feature maps in and out.
    growth
        Feature maps that each of the first four convolutions of a dense block adds.
    """

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(DenseBlock(width, growth) for _ in range(3)))

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        return torch.add(features, self.body(features), alpha=BRANCH_SCALING)


class RRDBNet(SplitNetwork):
    """LR to HR: dense trunk at LR size, nearest-neighbour doublings each with a convolution, two convolutions at HR.

    Parameters
    ----------
    scale
        2, 4, 8 or 16.
    width, growth
        Feature maps of the trunk, and those that each convolution of a dense block adds.
    blocks
        Residual-in-residual blocks.
    narrowing
        Halve the width at each doubling instead of keeping it; far cheaper.
    bicubic_skip
        Add the bicubic enlargement of the input to the output. Not in the paper.
    """

    def __init__(
        self,
        scale: int = 8,
        width: int = 64,
        growth: int = 32,
        blocks: int = 23,
        narrowing: bool = False,
        bicubic_skip: bool = False,
    ) -> None:
        super().__init__()
        steps = steps_of_two(scale)
        widths = [max(4, width >> step) if narrowing else width for step in range(steps + 1)]
        self.scale, self.bicubic_skip = scale, bicubic_skip
        self.head = convolution(1, width, 3)
        self.trunk = nn.Sequential(
            *(ResidualInResidual(width, growth) for _ in range(blocks)), convolution(width, width, 3)
        )
        self.doublings = nn.ModuleList(convolution(widths[step], widths[step + 1], 3) for step in range(steps))
        self.fine = convolution(widths[-1], widths[-1], 3)
        self.last = convolution(widths[-1], 1, 3)
        self._initialise()

    def _initialise(self) -> None:
        """Draw weights as He et al. do, a tenth as large inside the trunk (ESRGAN, Sec. 3.1)."""
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, a=0.2)
                if name.startswith("trunk"):
                    with torch.no_grad():
                        layer.weight.mul_(0.1)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def coarse_features(self, image: Tensor) -> Tensor:
        """Return the features ``(n, c, h, w)`` behind the trunk."""
        features = self.head(image)
        return features + self.trunk(features)

    def render(self, features: Tensor, image: Tensor) -> Tensor:
        """Map the features and their image to ``(n, 1, s·h, s·w)`` in [−1, 1]."""
        for doubling in self.doublings:
            features = F.leaky_relu(doubling(F.interpolate(features, scale_factor=2.0, mode="nearest")), 0.2)
        result = full_precision(self.last(F.leaky_relu(self.fine(features), 0.2)))
        if self.bicubic_skip:
            result = result + enlarge_bicubic(image, self.scale)
        return result.clamp(-1, 1)
