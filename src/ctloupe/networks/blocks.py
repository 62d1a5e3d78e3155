"""Layers that several networks share."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctloupe.networks.dropout import MonteCarloDropout

Padding = Literal["reflect", "zeros"]


def norm(channels: int) -> nn.InstanceNorm2d:
    """Instance normalisation as CycleGAN has it: no affine parameters, no running statistics.

    Parameters
    ----------
    channels
        Number of feature maps.
    """
    return nn.InstanceNorm2d(channels, affine=False, track_running_stats=False)


def convolution(
    channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, padding: Padding = "zeros"
) -> nn.Conv2d:
    """Convolution with bias that keeps the size at stride 1 (odd `kernel`)."""
    return nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, padding_mode=padding)


def full_precision(image: Tensor) -> Tensor:
    """Bring half precision, as autocast leaves it, to float32; anything else stays as it is."""
    return image.float() if image.dtype in (torch.bfloat16, torch.float16) else image


def reflected_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Make an image larger by reflection at its far ends, until both sides are whole multiples.

    Parameters
    ----------
    image : (n, c, h, w)
        What is to be halved several times.
    multiple
        Power of two that the sides are brought to.
    """
    below, right = -image.shape[-2] % multiple, -image.shape[-1] % multiple
    # A traced graph is used for images of every size, so that the padding must be part of it even where it is none.
    if not torch.jit.is_tracing() and not (below or right):  # type: ignore[attr-defined]
        return image
    return F.pad(image, (0, right, 0, below), mode="reflect")


class Activation(nn.PReLU):
    """PReLU whose weight follows the type of the features: enhancing may keep these in half precision."""

    def forward(self, features: Tensor) -> Tensor:
        """Apply it to features of any type."""
        return F.prelu(features, self.weight.to(features.dtype))


class ResidualBlock(nn.Module):
    """3×3, norm, ReLU, 3×3, norm, plus the input; reflection padding (JMI 2022, Fig. 3c).

    Parameters
    ----------
    channels
        Width of input and output.
    dropout
        Probability of Monte-Carlo dropout between the two convolutions, as in CycleGAN.
    """

    def __init__(self, channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, channels, 3, padding="reflect"),
            norm(channels),
            nn.ReLU(inplace=True),
            *([MonteCarloDropout(dropout)] if dropout else []),
            convolution(channels, channels, 3, padding="reflect"),
            norm(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        return features + self.body(features)


class SubPixelStep(nn.Module):
    """Doubles the size: 3×3 convolution, norm, PixelShuffle(2), PReLU (JMI 2022, Fig. 3; SRGAN without the norm).

    Parameters
    ----------
    channels
        Width of the input.
    channels_out
        Width of the output; default: half, as in JMI 2022.
    normalised
        Whether there is a norm.
    """

    def __init__(self, channels: int, channels_out: int | None = None, normalised: bool = True) -> None:
        super().__init__()
        wide = 4 * (channels // 2 if channels_out is None else channels_out)
        self.convolution = convolution(channels, wide, 3)
        self.norm = norm(wide) if normalised else nn.Identity()
        self.shuffle = nn.PixelShuffle(2)
        self.activation = nn.PReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to ``(n, c_out, 2h, 2w)``."""
        return self.activation(self.shuffle(self.norm(self.convolution(features))))


def downblock(channels_in: int, channels_out: int) -> nn.Sequential:
    """3×3 convolution of stride 2, norm, ReLU (JMI 2022, Fig. 3c)."""
    return nn.Sequential(convolution(channels_in, channels_out, 3, stride=2), norm(channels_out), nn.ReLU(inplace=True))


def upblock(channels_in: int, channels_out: int) -> nn.Sequential:
    """3×3 transposed convolution of stride 2, norm, ReLU (JMI 2022, Fig. 3c)."""
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_out, 3, stride=2, padding=1, output_padding=1),
        norm(channels_out),
        nn.ReLU(inplace=True),
    )


def steps_of_two(scale: int) -> int:
    """Return k of ``scale = 2^k``.

    Raises
    ------
    ValueError
        If `scale` is not 2, 4, 8 or 16.
    """
    if scale not in (2, 4, 8, 16):
        raise ValueError(f"scale must be 2, 4, 8 or 16, not {scale}")
    return int(math.log2(scale))


def initialise_normal(network: nn.Module, deviation: float = 0.02) -> None:
    """Draw every convolution weight from N(0, `deviation`²) and set biases to zero, as CycleGAN does."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def initialise_icnr(network: nn.Module) -> None:
    """Give the four sub-pixels of every `SubPixelStep` the same weights.

    A fresh sub-pixel step then behaves like nearest-neighbour enlargement, so that training does not start from
    a checkerboard (Aitken et al. 2017, arXiv:1707.02937).
    """
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, SubPixelStep):
                weight = layer.convolution.weight
                weight.copy_(weight[::4].repeat_interleave(4, dim=0))
