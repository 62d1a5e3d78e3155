"""Generators that change the size of an image by a power of two."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ctloupe.networks.blocks import Padding, ResidualBlock, convolution, downblock, norm, steps_of_two, upblock
from ctloupe.networks.sub_pixel_shell import SubPixelShell


class SubPixelGenerator(SubPixelShell):
    """LR to HR: the G1 of JMI 2022 (Fig. 3a), 802,222 parameters at its defaults.

    First convolution, residual blocks at LR size, one more convolution, then k sub-pixel steps, each doubling
    the size and halving the width, and a last convolution with tanh.

    Parameters
    ----------
    scale
        2, 4, 8 or 16.
    width
        Feature maps at LR size; must be divisible by `scale`.
    blocks
        Residual blocks.
    first_kernel, last_kernel
        Odd sizes of the outer convolutions.
    bicubic_skip
        Add the bicubic enlargement of the input to the output, so that the network learns the difference only.
        Not in the paper.
    neck_padding
        Padding of the convolution behind the residual blocks; the code released with the paper reflects.
    """

    def __init__(
        self,
        scale: int = 8,
        width: int = 64,
        blocks: int = 9,
        first_kernel: int = 7,
        last_kernel: int = 7,
        bicubic_skip: bool = False,
        neck_padding: Padding = "reflect",
    ) -> None:
        super().__init__(
            scale,
            width,
            head=nn.Sequential(convolution(1, width, first_kernel, padding="reflect"), norm(width), nn.PReLU()),
            trunk=nn.Sequential(*(ResidualBlock(width) for _ in range(blocks))),
            neck=nn.Sequential(convolution(width, width, 3, padding=neck_padding), norm(width), nn.PReLU()),
            last_kernel=last_kernel,
            last_padding="reflect",
            normalised=True,
            narrowing=True,
            bounded=True,
            bicubic_skip=bicubic_skip,
        )


class ShrinkingGenerator(nn.Module):
    """HR to LR: the G2 of JMI 2022 (Fig. 3b), 12,936,769 parameters at its defaults.

    CycleGAN's generator (two downblocks, residual blocks, two upblocks) followed by k further downblocks.

    Parameters
    ----------
    scale
        2, 4, 8 or 16. Widths of the last downblocks double up to ``8 * width``.
    width
        Feature maps of the first convolution.
    blocks
        Residual blocks, at a quarter of the HR size and ``4 * width`` feature maps.
    first_kernel, last_kernel
        Odd sizes of the outer convolutions.
    """

    def __init__(
        self, scale: int = 8, width: int = 64, blocks: int = 9, first_kernel: int = 7, last_kernel: int = 7
    ) -> None:
        super().__init__()
        widths = [min(width << step, 8 * width) for step in range(steps_of_two(scale) + 1)]
        self.layers = nn.Sequential(
            convolution(1, width, first_kernel, padding="reflect"),
            norm(width),
            nn.ReLU(inplace=True),
            downblock(width, 2 * width),
            downblock(2 * width, 4 * width),
            *(ResidualBlock(4 * width) for _ in range(blocks)),
            upblock(4 * width, 2 * width),
            upblock(2 * width, width),
            *(downblock(before, after) for before, after in pairwise(widths)),
            convolution(widths[-1], 1, last_kernel, padding="reflect"),
            nn.Tanh(),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, s·h, s·w)`` in [−1, 1] to ``(n, 1, h, w)`` in [−1, 1]."""
        return self.layers(image)


class StridedGenerator(nn.Module):
    """HR to LR at a fraction of `ShrinkingGenerator`'s cost: every residual block works at LR size.

    k strided convolutions come first, so nothing expensive happens on the fine grid. Not from a paper: it is
    the cheap G2 of the ``tiny`` preset.

    Parameters
    ----------
    scale
        2, 4, 8 or 16.
    width
        Feature maps at LR size.
    blocks
        Residual blocks at LR size.
    last_kernel
        Odd size of the last convolution.
    """

    def __init__(self, scale: int = 8, width: int = 32, blocks: int = 4, last_kernel: int = 7) -> None:
        super().__init__()
        steps = steps_of_two(scale)
        widths = [1, *(max(8, width >> (steps - 1 - step)) for step in range(steps))]
        self.layers = nn.Sequential(
            *(downblock(before, after) for before, after in pairwise(widths)),
            *(ResidualBlock(widths[-1]) for _ in range(blocks)),
            convolution(widths[-1], 1, last_kernel, padding="reflect"),
            nn.Tanh(),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, s·h, s·w)`` in [−1, 1] to ``(n, 1, h, w)`` in [−1, 1]."""
        return self.layers(image)
