"""Networks of the baselines that change how an image of clinical size looks, not its size."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from ctloupe.networks.attention import AttentionGroup
from ctloupe.networks.blocks import convolution

SLOPE = 0.2
"""Negative slope of the activations."""


class BareBlock(nn.Module):
    """Two convolutions with a LeakyReLU between them, plus the input; batch normalisation only where asked for.

    Parameters
    ----------
    channels
        Width of input and output.
    kernel
        Odd size of the convolutions.
    normalised
        Whether each convolution is followed by batch normalisation.
    """

    def __init__(self, channels: int, kernel: int = 3, normalised: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_layer(channels, channels, kernel, normalised),
            nn.LeakyReLU(SLOPE, inplace=True),
            *_layer(channels, channels, kernel, normalised),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        return features + self.body(features)


class BareTranslation(nn.Module):
    """G1, G2 and G3 of CinCGAN: three convolutions, residual blocks, three convolutions, and no normalisation.

    Parameters
    ----------
    width
        Feature maps.
    blocks
        Residual blocks.
    halvings
        How many times the size is halved on the way; G3 brings a µCT patch to clinical size.
    skip
        Add the input, where its size is kept, to the output. Not in the paper.
    """

    def __init__(self, width: int = 64, blocks: int = 6, halvings: int = 0, skip: bool = False) -> None:
        super().__init__()
        self.skip = skip
        head: list[nn.Module] = [convolution(1, width, 7), nn.LeakyReLU(SLOPE, inplace=True)]
        for step in range(max(2, halvings)):
            head += [
                convolution(width, width, 3, stride=2 if step < halvings else 1),
                nn.LeakyReLU(SLOPE, inplace=True),
            ]
        tail: list[nn.Module] = []
        for _ in range(2):
            tail += [convolution(width, width, 3), nn.LeakyReLU(SLOPE, inplace=True)]
        self.layers = nn.Sequential(*head, *(BareBlock(width) for _ in range(blocks)), *tail, convolution(width, 1, 7))

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, h, w)`` to the same size, or to a ``2^halvings``th of it."""
        result = self.layers(image)
        return image + result if self.skip else result


class AttentionTranslation(nn.Module):
    """F of pseudo-SR: a channel attention network that does not enlarge.

    Parameters
    ----------
    width
        Feature maps.
    groups, blocks
        Residual groups, and attention blocks in each.
    skip
        Add the input to the output. Not in the paper.
    """

    def __init__(self, width: int = 64, groups: int = 5, blocks: int = 10, skip: bool = False) -> None:
        super().__init__()
        self.skip = skip
        self.head = convolution(1, width, 3)
        self.trunk = nn.Sequential(
            *(AttentionGroup(width, blocks) for _ in range(groups)), convolution(width, width, 3)
        )
        self.last = convolution(width, 1, 3)

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, h, w)`` to the same shape."""
        features = self.head(image)
        result = self.last(features + self.trunk(features))
        return image + result if self.skip else result


class NoisyTranslation(nn.Module):
    """G of pseudo-SR: an image and noise in, so that one clean image has many clinical ones.

    5×5 residual blocks with batch normalisation, then 1×1 convolutions that fuse the feature maps. The noise is drawn
    anew for every image at a quarter of its size, and enlarged by two transposed convolutions.

    Parameters
    ----------
    width
        Feature maps; a multiple of 4.
    blocks
        Residual blocks.
    noise_width
        Feature maps of the first convolution of the noise; the second has twice as many.
    skip
        Add the input to the output. Not in the paper.
    """

    def __init__(self, width: int = 64, blocks: int = 6, noise_width: int = 8, skip: bool = False) -> None:
        super().__init__()
        self.skip = skip
        half = width // 2
        self.image = nn.Sequential(
            *_layer(1, half, 5, True), nn.LeakyReLU(SLOPE, inplace=True), BareBlock(half, 5, True)
        )
        self.noise = nn.Sequential(
            nn.ConvTranspose2d(1, noise_width, 2, 2),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.ConvTranspose2d(noise_width, 2 * noise_width, 2, 2),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        fused = [width, half, width // 4]
        self.layers = nn.Sequential(
            nn.Conv2d(half + 2 * noise_width, width, 1),
            *(BareBlock(width, 5, True) for _ in range(blocks)),
            *(
                layer
                for before, after in pairwise(fused)
                for layer in (nn.Conv2d(before, after, 1), nn.LeakyReLU(SLOPE, inplace=True))
            ),
            nn.Conv2d(fused[-1], 1, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, h, w)`` to the same shape, with other noise each time."""
        height, width = image.shape[-2:]
        drawn = torch.randn((len(image), 1, -(-height // 4), -(-width // 4)), dtype=image.dtype, device=image.device)
        noise = self.noise(drawn)[..., :height, :width]
        result = self.layers(torch.cat([self.image(image), noise], dim=1))
        return image + result if self.skip else result


def _layer(before: int, after: int, kernel: int, normalised: bool) -> list[nn.Module]:
    """Return a convolution, with batch normalisation behind it where asked for."""
    return [convolution(before, after, kernel), *([nn.BatchNorm2d(after)] if normalised else [])]
