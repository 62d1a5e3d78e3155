"""The generator and the discriminator of SRGAN (Ledig et al. 2017, arXiv:1609.04802)."""

from __future__ import annotations

from torch import Tensor, nn

from ctloupe.networks.blocks import convolution
from ctloupe.networks.sub_pixel_shell import SubPixelShell


class BatchNormBlock(nn.Module):
    """3×3, batch norm, PReLU, 3×3, batch norm, plus the input (SRGAN, Fig. 4).

    Parameters
    ----------
    channels
        Width of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, channels, 3),
            nn.BatchNorm2d(channels),
            nn.PReLU(),
            convolution(channels, channels, 3),
            nn.BatchNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        return features + self.body(features)


class SRResNet(SubPixelShell):
    """9×9 convolution, residual blocks under one long skip, sub-pixel steps, 9×9 convolution, tanh.

    Parameters
    ----------
    scale
        2, 4, 8 or 16.
    width
        Feature maps at LR size; when narrowing, must be divisible by `scale`.
    blocks
        Residual blocks at LR size.
    narrowing
        Halve the width at each sub-pixel step, as JMI 2022 does, instead of keeping it; far cheaper.
    bicubic_skip
        Add the bicubic enlargement of the input to the output. Not in the paper.
    """

    def __init__(
        self, scale: int = 8, width: int = 64, blocks: int = 16, narrowing: bool = False, bicubic_skip: bool = False
    ) -> None:
        super().__init__(
            scale,
            width,
            head=nn.Sequential(convolution(1, width, 9), nn.PReLU()),
            trunk=nn.Sequential(
                *(BatchNormBlock(width) for _ in range(blocks)), convolution(width, width, 3), nn.BatchNorm2d(width)
            ),
            last_kernel=9,
            narrowing=narrowing,
            bounded=True,
            bicubic_skip=bicubic_skip,
        )


class ImageDiscriminator(nn.Module):
    """SRGAN's discriminator: eight 3×3 convolutions, then two dense layers to one logit an image.

    The paper flattens the last feature maps, which fixes the patch size and, at 256×256, costs 134 million
    parameters; here they are averaged first.

    Parameters
    ----------
    width
        Feature maps of the first convolution; the last has eight times as many.
    kept
        Side of what the last feature maps are averaged to.
    hidden
        Width of the first dense layer; default: twice that of the last feature maps.
    """

    def __init__(self, width: int = 64, kept: int = 1, hidden: int | None = None) -> None:
        super().__init__()
        layers: list[nn.Module] = [convolution(1, width, 3), nn.LeakyReLU(0.2, inplace=True)]
        before = width
        for index in range(1, 8):
            after = width << (index // 2)
            layers += [
                nn.Conv2d(before, after, 3, 2 if index % 2 else 1, 1),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            before = after
        self.features = nn.Sequential(*layers)
        self.kept = nn.AdaptiveAvgPool2d(kept)
        between = hidden or 2 * before
        self.head = nn.Sequential(
            nn.Linear(before * kept**2, between), nn.LeakyReLU(0.2, inplace=True), nn.Linear(between, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, h, w)`` to logits ``(n, 1)``; positive means real."""
        return self.head(self.kept(self.features(image)).flatten(1))
