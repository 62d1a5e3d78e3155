"""Bicubic interpolation: the method without weights that every other one is compared with."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from ctloupe.methods.base import Method, MethodConfig
from ctloupe.networks.bicubic import enlarge_bicubic


class Bicubic(nn.Module):
    """Keys' cubic convolution (a = −0.5) about voxel centres; exact for linear images.

    Parameters
    ----------
    scale
        In-plane enlargement.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, h, w)`` to ``(n, 1, s·h, s·w)``; values may overshoot the input's range at edges."""
        return enlarge_bicubic(image, self.scale)


class BicubicMethod(Method):
    """Needs no training: its name and a scale stand for a model."""

    name = "bicubic"
    summary = "cubic interpolation, no weights: the baseline of every table"
    reference = "Keys 1981, doi:10.1109/TASSP.1981.1163711"
    trainable = False
    presets: ClassVar[dict[str, dict[str, Any]]] = {"default": {}}

    def __init__(self, config: MethodConfig) -> None:
        super().__init__(config)
        self.interpolation = self.make_enhancer(config)

    @classmethod
    def make_enhancer(cls, config: MethodConfig) -> Bicubic:
        """Build the interpolation."""
        return Bicubic(config.scale)

    def enhancer(self) -> nn.Module:
        """Return the interpolation."""
        return self.interpolation
