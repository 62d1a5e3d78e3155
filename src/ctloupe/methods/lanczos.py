"""Lanczos interpolation: a windowed sinc of three lobes."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctloupe.methods.base import Method, MethodConfig

LOBES = 3


def lanczos_weights(scale: int) -> Tensor:
    """Return the weights of the ``2·LOBES`` coarse neighbours for each of the `scale` places inside a coarse voxel.

    ``L(x) = sinc(x)·sinc(x / 3)`` for |x| < 3 (Duchon 1979), divided by its sum so that constants stay.

    Returns
    -------
    Tensor of shape (scale, 2·LOBES + 1)
        Row j: neighbours −LOBES … LOBES of fine voxel j; one outermost weight is zero.
    """
    offset = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
    at = offset[:, None] - torch.arange(-LOBES, LOBES + 1, dtype=torch.float64)[None]
    weights = torch.where(at.abs() < LOBES, torch.sinc(at) * torch.sinc(at / LOBES), torch.zeros(()).double())
    return (weights / weights.sum(1, keepdim=True)).float()


class Lanczos(nn.Module):
    """Separable Lanczos interpolation about voxel centres; the border voxel is repeated outwards.

    Parameters
    ----------
    scale
        In-plane enlargement.
    """

    weights: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("weights", lanczos_weights(scale), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, h, w)`` to ``(n, 1, s·h, s·w)``; values may overshoot the input's range at edges."""
        count, _, height, width = image.shape
        padded = F.pad(image.float(), (LOBES,) * 4, mode="replicate")
        rows = F.conv2d(padded, self.weights[:, None, :, None])
        rows = rows.transpose(1, 2).reshape(count, 1, height * self.scale, -1)
        both = F.conv2d(rows, self.weights[:, None, None, :])
        return both.permute(0, 2, 3, 1).reshape(count, 1, height * self.scale, width * self.scale)


class LanczosMethod(Method):
    """Needs no training: its name and a scale stand for a model."""

    name = "lanczos"
    summary = "Lanczos interpolation of three lobes, no weights: a reference"
    reference = "Duchon 1979, doi:10.1175/1520-0450(1979)018<1016:LFIOAT>2.0.CO;2"
    trainable = False
    presets: ClassVar[dict[str, dict[str, Any]]] = {"default": {}}

    def __init__(self, config: MethodConfig) -> None:
        super().__init__(config)
        self.interpolation = self.make_enhancer(config)

    @classmethod
    def make_enhancer(cls, config: MethodConfig) -> Lanczos:
        """Build the interpolation."""
        return Lanczos(config.scale)

    def enhancer(self) -> nn.Module:
        """Return the interpolation."""
        return self.interpolation
