"""CycleGAN's translation network, of the same size or enlarging."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.blocks import ResidualBlock, convolution, downblock, norm, reflected_to_multiple, upblock
from ctloupe.networks.bounded import bounded
from ctloupe.networks.split import SplitNetwork

NARROWEST = 8
"""Feature maps that repeated upblocks do not fall below."""


class TranslationGenerator(SplitNetwork):
    """7×7 convolution, downblocks, residual blocks, upblocks, 7×7 convolution, tanh.

    With two of each it is CycleGAN's generator. `further` upblocks enlarge the output by ``2^further``: three of
    them make the "CycleGAN with upblocks" of JMI 2022 (Fig. 7a).

    Parameters
    ----------
    width
        Feature maps of the first convolution; each downblock doubles, each upblock halves them.
    blocks
        Residual blocks.
    downs
        Downblocks, and as many upblocks to come back to the size of the input.
    further
        Upblocks beyond that.
    first_kernel, last_kernel
        Odd sizes of the outer convolutions.
    dropout
        Probability of Monte-Carlo dropout inside the residual blocks.
    skip
        Add the (bicubically enlarged) input to the output. Not in the papers.
    """

    def __init__(
        self,
        width: int = 64,
        blocks: int = 9,
        downs: int = 2,
        further: int = 0,
        first_kernel: int = 7,
        last_kernel: int = 7,
        dropout: float = 0.0,
        skip: bool = False,
    ) -> None:
        super().__init__()
        self.enlargement = 1 << further
        self.skip = skip
        self._multiple = 1 << downs
        self._further_at = 3 + downs + blocks + downs
        down_widths = [width << step for step in range(downs + 1)]
        bottom = down_widths[-1]
        narrowest = min(NARROWEST, width)
        up_widths = [max(narrowest, bottom >> step) for step in range(downs + further + 1)]
        self.layers = nn.Sequential(
            convolution(1, width, first_kernel, padding="reflect"),
            norm(width),
            nn.ReLU(inplace=True),
            *(downblock(before, after) for before, after in pairwise(down_widths)),
            *(ResidualBlock(bottom, dropout) for _ in range(blocks)),
            *(upblock(before, after) for before, after in pairwise(up_widths)),
            convolution(up_widths[-1], 1, last_kernel, padding="reflect"),
        )

    def coarse_features(self, image: Tensor) -> Tensor:
        """Return what the first block that enlarges beyond the input is given, ``(n, c, h', w')``.

        A size that the downblocks cannot halve is made larger by reflection at the far ends, and so h' ≥ h, w' ≥ w.
        """
        return self.layers[: self._further_at](reflected_to_multiple(image, self._multiple))

    def render(self, features: Tensor, image: Tensor) -> Tensor:
        """Map the features and their image to ``(n, 1, f·h, f·w)`` in [−1, 1], f = ``2^further``."""
        height, width = image.shape[-2] * self.enlargement, image.shape[-1] * self.enlargement
        result = bounded(self.layers[self._further_at :](features)[..., :height, :width])
        if not self.skip:
            return result
        base = enlarge_bicubic(image, self.enlargement) if self.enlargement > 1 else image
        return (base + result).clamp(-1, 1)


class CleanAndEnlarge(SplitNetwork):
    """A network that cleans the image, then one that enlarges it.

    Parameters
    ----------
    clean, enlarge
        Network from LR to LR, and network from LR to HR.
    """

    def __init__(self, clean: nn.Module, enlarge: SplitNetwork) -> None:
        super().__init__()
        self.clean, self.enlarge = clean, enlarge

    def coarse_features(self, image: Tensor) -> tuple[Any, Tensor]:
        """Return the coarse features of the enlarging network, and the cleaned image that they come from."""
        cleaned = self.clean(image)
        return self.enlarge.coarse_features(cleaned), cleaned

    def render(self, features: tuple[Any, Tensor], image: Tensor) -> Tensor:
        """Map those to ``(n, 1, s·h, s·w)`` in [−1, 1]; the image before cleaning is not looked at."""
        return self.enlarge.render(*features)
