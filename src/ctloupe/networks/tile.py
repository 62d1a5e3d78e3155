"""Where in the image the part lies that a network is given: some layers need to know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Tile:
    """A rectangle of the coarse image, with what it overlaps its neighbours by.

    Attributes
    ----------
    y, x
        Rows and columns that the network is given, as ``(start, stop)``.
    height, width
        Of the whole coarse image.
    """

    y: tuple[int, int]
    x: tuple[int, int]
    height: int
    width: int

    @property
    def at_border(self) -> tuple[bool, bool, bool, bool]:
        """Whether its top, bottom, left and right are those of the image."""
        return self.y[0] == 0, self.y[1] == self.height, self.x[0] == 0, self.x[1] == self.width


@contextmanager
def placed(network: nn.Module, tile: Tile | None) -> Iterator[None]:
    """Tell every layer that asks (has an attribute ``tile``) where its input lies."""
    layers = [layer for layer in network.modules() if hasattr(layer, "tile")]
    for layer in layers:
        layer.tile = tile  # type: ignore[assignment]
    try:
        yield
    finally:
        for layer in layers:
            layer.tile = None  # type: ignore[assignment]
