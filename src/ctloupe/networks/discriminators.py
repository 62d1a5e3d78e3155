"""Discriminators: networks that tell generated images from real ones."""

from __future__ import annotations

from torch import Tensor, nn

from ctloupe.networks.blocks import norm


class PatchDiscriminator(nn.Module):
    """PatchGAN of CycleGAN and JMI 2022, 2,762,689 parameters at its defaults.

    4×4 convolutions: `strides` of stride 2 whose widths double from `width`, one of stride 1, and the last to
    one map of logits. LeakyReLU 0.2; instance normalisation on all but the first and the last.

    Parameters
    ----------
    width
        Feature maps of the first convolution.
    strides
        Number of stride-2 convolutions.
    halvings
        How many of them do have stride 2, the others having stride 1; default: all. Images of clinical size leave
        nothing to halve.
    """

    def __init__(self, width: int = 64, strides: int = 3, halvings: int | None = None) -> None:
        super().__init__()
        halvings = strides if halvings is None else halvings
        layers: list[nn.Module] = [nn.Conv2d(1, width, 4, _stride(0, halvings), 1), nn.LeakyReLU(0.2, inplace=True)]
        for step in range(1, strides + 1):
            layers += [
                nn.Conv2d(width << (step - 1), width << step, 4, _stride(step, halvings), 1),
                norm(width << step),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        layers.append(nn.Conv2d(width << strides, 1, 4, 1, 1))
        self.layers = nn.Sequential(*layers)
        # The stride-1 convolutions each take one pixel off; the normalisation needs more than one to be left.
        self.smallest_input = (3 + strides - halvings) << halvings

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, h, w)`` to logits ``(n, 1, ~h / 2^strides, ~w / 2^strides)``; positive means real.

        Raises
        ------
        ValueError
            If the image is smaller than `smallest_input`.
        """
        if min(image.shape[-2:]) < self.smallest_input:
            size = tuple(image.shape[-2:])
            raise ValueError(f"discriminator needs at least {self.smallest_input} pixels a side, not {size}")
        return self.layers(image)


def _stride(step: int, halvings: int) -> int:
    return 2 if step < halvings else 1
