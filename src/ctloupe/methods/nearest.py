"""Nearest-neighbour enlargement: every voxel repeated; what a viewer without interpolation shows."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from ctloupe.losses.mmsr import f_up
from ctloupe.methods.base import Method, MethodConfig


class Nearest(nn.Module):
    """Repeats each pixel s×s times.

    Parameters
    ----------
    scale
        In-plane enlargement.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, h, w)`` to ``(n, 1, s·h, s·w)``."""
        return f_up(image, self.scale)


class NearestMethod(Method):
    """Needs no training: its name and a scale stand for a model."""

    name = "nearest"
    summary = "nearest neighbour, no weights: a reference"
    reference = "each fine voxel takes the value of the coarse voxel it lies in"
    trainable = False
    presets: ClassVar[dict[str, dict[str, Any]]] = {"default": {}}

    def __init__(self, config: MethodConfig) -> None:
        super().__init__(config)
        self.interpolation = self.make_enhancer(config)

    @classmethod
    def make_enhancer(cls, config: MethodConfig) -> Nearest:
        """Build the interpolation."""
        return Nearest(config.scale)

    def enhancer(self) -> nn.Module:
        """Return the interpolation."""
        return self.interpolation
