"""Dropout that may stay switched on after training (Monte-Carlo dropout, Gal and Ghahramani 2016)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctloupe.networks.tile import PlacedLayer, Tile

PERIOD = 509
"""Side of the random field that masks are cut from; prime, so that it does not keep step with the network."""


@dataclass(frozen=True)
class Draw:
    """Which masks a network with dropout is to use.

    A mask is a function of these numbers, the layer, the feature map and the place in the image, so that a pixel
    meets the same mask in whichever tile it is computed, and in every run.

    Attributes
    ----------
    seed
        Seed of everything random, for instance made of the user's seed and the slice.
    first, copies
        The passes `first` to ``first + copies − 1`` are computed together as a batch.
    """

    seed: int
    first: int
    copies: int


class MonteCarloDropout(PlacedLayer):
    """Sets single values to zero with a given probability, in training and while samples are drawn.

    Parameters
    ----------
    probability
        Probability that a value is set to zero, in [0, 1).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.sampling = False
        self.draw: Draw | None = None
        self.layer = 0

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape; what is left is scaled so that the mean stays.

        With a draw, a single image becomes the batch of its passes: what comes before the first dropout layer is
        the same for all of them and is computed once.
        """
        if self.draw is None:
            return F.dropout(features, self.probability, training=self.training or self.sampling)
        kept = self._mask(features).to(features.dtype).mul_(1 / (1 - self.probability))
        return (features * kept).contiguous(memory_format=torch.channels_last)

    def _mask(self, features: Tensor) -> Tensor:
        """Which values are kept: 0 or 1, ``(copies, c, h, w)``; every map cuts a place of its own from one field."""
        assert self.draw is not None
        channels, height, width = features.shape[1:]
        random = torch.Generator().manual_seed((self.draw.seed * 1_000_003 + self.layer) % (1 << 62))
        field = torch.rand(PERIOD, PERIOD, generator=random) >= self.probability
        last = self.draw.first + self.draw.copies
        corner = torch.randint(PERIOD, (last * channels, 2), generator=random)[self.draw.first * channels :].T
        start = _start(self.tile, height, width)
        y = (corner[0][:, None] + start[0] + torch.arange(height)) % PERIOD
        x = (corner[1][:, None] + start[1] + torch.arange(width)) % PERIOD
        cut = field[y[:, :, None], x[:, None, :]]
        return cut.view(self.draw.copies, channels, height, width).to(features.device)


def _start(tile: Tile | None, height: int, width: int) -> tuple[int, int]:
    """First row and column of the tile on the grid of features of this size; grids differ by powers of two."""
    if tile is None:
        return 0, 0
    y = tile.y[0] * 2.0 ** round(math.log2(height / (tile.y[1] - tile.y[0])))
    x = tile.x[0] * 2.0 ** round(math.log2(width / (tile.x[1] - tile.x[0])))
    return int(y), int(x)


def is_stochastic(network: nn.Module) -> bool:
    """Whether `network` has dropout, so that repeated passes differ."""
    return any(isinstance(layer, MonteCarloDropout) and layer.probability > 0 for layer in network.modules())


@contextmanager
def sampling(network: nn.Module) -> Iterator[None]:
    """Switch the dropout of `network` on for a while, whether it is in training or in evaluation mode."""
    layers = [layer for layer in network.modules() if isinstance(layer, MonteCarloDropout)]
    before = [layer.sampling for layer in layers]
    for layer in layers:
        layer.sampling = True
    try:
        yield
    finally:
        for layer, was in zip(layers, before, strict=True):
            layer.sampling = was


@contextmanager
def drawing(network: nn.Module, draw: Draw | None) -> Iterator[None]:
    """Give the dropout layers of `network` the masks of `draw` for a while."""
    layers = [layer for layer in network.modules() if isinstance(layer, MonteCarloDropout)]
    for index, layer in enumerate(layers):
        layer.draw, layer.layer = draw, index
    try:
        yield
    finally:
        for layer in layers:
            layer.draw = None
