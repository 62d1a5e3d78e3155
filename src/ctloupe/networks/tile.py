"""Where in the image the part lies that a network is given, for the layers that need to know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Tile:
    """A rectangle of the coarse image, together with its overlap with its neighbours.

    Attributes
    ----------
    y, x
        Rows and columns that the network is given, as ``(start, stop)``.
    height, width
        Rows and columns of the whole coarse image.
    """

    y: tuple[int, int]
    x: tuple[int, int]
    height: int
    width: int

    @property
    def at_border(self) -> tuple[bool, bool, bool, bool]:
        """Whether its top, bottom, left and right are those of the image."""
        return self.y[0] == 0, self.y[1] == self.height, self.x[0] == 0, self.x[1] == self.width


class PlacedLayer(nn.Module):
    """A layer whose output depends on where in the image its input lies.

    Attributes
    ----------
    tile
        Where the input lies; None where it is the whole image.
    """

    tile: Tile | None = None


@contextmanager
def placed(network: nn.Module, tile: Tile | None) -> Iterator[None]:
    """Tell every `PlacedLayer` of `network` for a while where its input lies."""
    layers = [layer for layer in network.modules() if isinstance(layer, PlacedLayer)]
    for layer in layers:
        layer.tile = tile
    try:
        yield
    finally:
        for layer in layers:
            layer.tile = None
