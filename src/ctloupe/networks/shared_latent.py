"""Encoders and decoders of SR-UNIT: two image sizes, one latent space on the coarse grid (SPIE 2020, Fig. 1b)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.blocks import (
    ResidualBlock,
    SubPixelStep,
    convolution,
    downblock,
    norm,
    steps_of_two,
)
from ctloupe.networks.split import SplitNetwork


class ClinicalEncoder(nn.Module):
    """7×7 convolution and residual blocks, all on the coarse grid.

    Parameters
    ----------
    width
        Feature maps.
    blocks
        Residual blocks; one more is shared with the other encoder.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolution(1, width, 7, padding="reflect"),
            norm(width),
            nn.ReLU(inplace=True),
            *(ResidualBlock(width) for _ in range(blocks)),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, h, w)`` to ``(n, width, h, w)``."""
        return self.layers(image)


class MicroEncoder(nn.Module):
    """7×7 convolution on the fine grid, stride-2 convolutions to the coarse one, residual blocks.

    Parameters
    ----------
    scale
        2, 4, 8 or 16.
    width
        Feature maps on the coarse grid; they double from ``width / scale`` (8 at least) on the fine one.
    blocks
        Residual blocks.
    """

    def __init__(self, scale: int, width: int, blocks: int) -> None:
        super().__init__()
        steps = steps_of_two(scale)
        widths = [min(width, max(8, width >> (steps - step))) for step in range(steps + 1)]
        self.layers = nn.Sequential(
            convolution(1, widths[0], 7, padding="reflect"),
            norm(widths[0]),
            nn.ReLU(inplace=True),
            *(downblock(before, after) for before, after in pairwise(widths)),
            *(ResidualBlock(width) for _ in range(blocks)),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, s·h, s·w)`` to ``(n, width, h, w)``."""
        return self.layers(image)


class ClinicalDecoder(nn.Module):
    """Residual blocks and a 7×7 convolution with tanh, all on the coarse grid.

    Parameters
    ----------
    width
        Feature maps of the latent space.
    blocks
        Residual blocks; one more is shared with the other decoder.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(ResidualBlock(width) for _ in range(blocks)), convolution(width, 1, 7, padding="reflect"), nn.Tanh()
        )

    def forward(self, latent: Tensor) -> Tensor:
        """Map ``(n, width, h, w)`` to ``(n, 1, h, w)`` in [−1, 1]."""
        return self.layers(latent)


class MicroDecoder(nn.Module):
    """Residual blocks, sub-pixel steps to the fine grid, a 7×7 convolution with tanh.

    Parameters
    ----------
    scale
        2, 4, 8 or 16.
    width
        Feature maps on the coarse grid, halved by each step; must be divisible by `scale`.
    blocks
        Residual blocks.
    skip
        Add the bicubic enlargement of a coarse image of the same scene. Not in the paper.
    """

    def __init__(self, scale: int, width: int, blocks: int, skip: bool = False) -> None:
        super().__init__()
        steps = steps_of_two(scale)
        if width % scale:
            raise ValueError(f"width {width} must be divisible by the scale {scale}")
        self.scale, self.skip = scale, skip
        self.layers = nn.Sequential(
            *(ResidualBlock(width) for _ in range(blocks)),
            *(SubPixelStep(width >> step) for step in range(steps)),
            convolution(width >> steps, 1, 7, padding="reflect"),
            nn.Tanh(),
        )

    def forward(self, latent: Tensor, coarse: Tensor) -> Tensor:
        """Map ``(n, width, h, w)`` to ``(n, 1, s·h, s·w)`` in [−1, 1]; `coarse` ``(n, 1, h, w)`` serves the skip."""
        return self.finish(self.layers(latent), coarse)

    def finish(self, result: Tensor, coarse: Tensor) -> Tensor:
        """Add the enlarged coarse image, when there is a skip."""
        if not self.skip:
            return result
        return (enlarge_bicubic(coarse, self.scale) + result).clamp(-1, 1)


class SharedLatentEnhancer(SplitNetwork):
    """The part that enhances: clinical encoder, the two shared blocks and µCT decoder, without noise on the latent.

    Parameters
    ----------
    scale
        2, 4, 8 or 16.
    width
        Feature maps of the latent space; must be divisible by `scale`.
    blocks
        Residual blocks of the encoder and of the decoder, besides the shared ones.
    skip
        Add the bicubic enlargement of the input to the output.
    """

    def __init__(self, scale: int, width: int, blocks: int, skip: bool) -> None:
        super().__init__()
        self._blocks = blocks
        self.encoder = ClinicalEncoder(width, blocks)
        self.shared_encoder = ResidualBlock(width)
        self.shared_decoder = ResidualBlock(width)
        self.decoder = MicroDecoder(scale, width, blocks, skip)

    def coarse_features(self, image: Tensor) -> Tensor:
        """Return the features ``(n, c, h, w)`` behind the residual blocks of the decoder."""
        return self.decoder.layers[: self._blocks](self.shared_decoder(self.shared_encoder(self.encoder(image))))

    def render(self, features: Tensor, image: Tensor) -> Tensor:
        """Map the features and their image to ``(n, 1, s·h, s·w)`` in [−1, 1]."""
        return self.decoder.finish(self.decoder.layers[self._blocks :](features), image)


def with_noise(mean: Tensor) -> Tensor:
    """Draw a latent from N(`mean`, 1), the posterior of UNIT (Liu et al. 2017, Sec. 3)."""
    return mean + torch.randn_like(mean)
