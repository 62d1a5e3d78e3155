"""What a sample adds to the posterior mean, drawn in one evaluation, and the discriminator that it learns against."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctloupe.networks.blocks import Activation, convolution, full_precision
from ctloupe.networks.plain import PlainBlock


class TextureHead(nn.Module):
    """Turns noise and the features that the mean is made of into what one sample differs from the mean by.

    A convolution on the grid of twice the scan's resolution, a sub-pixel step to twice that, where the noise is seen a
    second time, residual blocks, and a pixel-shuffle to the fine grid.

    Parameters
    ----------
    features
        Feature maps that the mean is made of, on the grid of twice the scan's resolution.
    step
        Enlargement from that grid to the fine one; where it is 1 there is no finer grid, and all happens on that one.
    width, fine_width
        Feature maps on that grid, and on the one of twice its resolution.
    blocks
        Residual blocks on the latter.
    """

    def __init__(self, features: int, step: int, width: int = 64, fine_width: int = 24, blocks: int = 2) -> None:
        super().__init__()
        self.finer_step = max(1, step // 2)
        self.zoom = step // self.finer_step
        first, second = (
            convolution(features + step**2, width, 3),
            convolution(width, self.zoom**2 * fine_width, 3),
        )
        self.entrance = nn.Sequential(first, nn.PReLU(), second, nn.PReLU())
        self.joined = convolution(fine_width + self.finer_step**2, fine_width, 3)
        self.body = nn.Sequential(*(PlainBlock(fine_width, 1.0) for _ in range(blocks)), Activation())
        self.exit = convolution(fine_width, self.finer_step**2, 3)
        self.painting = nn.PixelShuffle(self.finer_step)
        with torch.no_grad():
            self.exit.weight.mul_(0.1)
            assert self.exit.bias is not None
            self.exit.bias.zero_()

    def numbers_in_work(self, scale: int) -> int:
        """Return how many numbers are kept at once for each scan voxel, at most, where s is `scale`."""
        finer = 4 * self.zoom**2 * (self.joined.in_channels + 3 * self.joined.out_channels)
        return finer + 3 * scale**2

    def forward(self, fine: Tensor, noise: Tensor) -> Tensor:
        """Return the difference of a sample to the mean.

        Parameters
        ----------
        fine : (n, features, 2h, 2w)
            What the mean is painted from.
        noise : (n, 1, s·h, s·w)
            Independent noise of standard deviation 1.

        Returns
        -------
        Tensor of shape (n, 1, s·h, s·w)
        """
        seen = F.pixel_unshuffle(noise, self.finer_step).to(fine.dtype)
        finer = F.pixel_shuffle(self.entrance(torch.cat([fine, F.pixel_unshuffle(seen, self.zoom)], 1)), self.zoom)
        joined = self.joined(torch.cat([finer, seen], 1))
        return full_precision(self.painting(self.exit(self.body(joined))))


class TextureDiscriminator(nn.Module):
    """Tells what µCT differs from a mean by from what a `TextureHead` drew, patch by patch, in sight of that mean.

    A pixel-unshuffle by 2, convolutions of strides 1, 2 and 2, and one to a map of logits; without normalisation, which
    would hide how strong a texture is.

    Parameters
    ----------
    width
        Feature maps of the first convolution; they double once.
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(8, width, 3, 1, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * width, 1, 3, 1, 1),
        )

    def forward(self, mean: Tensor, *differences: Tensor) -> tuple[Tensor, ...]:
        """Return logits of each difference ``(n, 1, h, w)`` to a mean of that shape; positive means real."""
        return tuple(self.layers(torch.cat([one, mean], 1)) for one in differences)
