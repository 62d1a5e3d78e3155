"""Dropout that may stay switched on after training (Monte-Carlo dropout, Gal and Ghahramani 2016)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch.nn.functional as F
from torch import Tensor, nn


class MonteCarloDropout(nn.Module):
    """Sets single values to zero with a given probability, in training and while samples are drawn.

    Parameters
    ----------
    probability
        Of each value, in [0, 1).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.sampling = False

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape; what is left is scaled so that the mean stays."""
        return F.dropout(features, self.probability, training=self.training or self.sampling)


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
