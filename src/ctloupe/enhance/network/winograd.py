"""Residual blocks by Winograd's convolution, which takes a fifth of the multiplications.

A 3×3 convolution of 6×6 outputs at once needs 64 multiplications instead of 324 (Winograd; Lavin and Gray 2016,
arXiv:1509.09308). PyTorch has it from NNPACK, in float32 and for AVX2. Where the processor has wider registers or half
precision, oneDNN's direct convolution is as fast or faster; where it has not, this one passes what a direct one could
do at best. Its rounding is a few times that of a direct one, still far below the last digit of HU.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEWEST_CHANNELS: Final = 64
"""Fewest for which transforming images takes less time than the multiplications that are saved."""

_CLOSE: Final = 1e-4

_COPIES, _COPIES_TRANSFORMED = 2.0, 4.0
"""Measured: of direct convolutions, and with what NNPACK transforms."""


def _works() -> bool:
    """Whether this build has NNPACK, and it does what we think; asking for it is what makes it ready."""
    try:
        if not torch.backends.nnpack.is_available():
            return False
        random = torch.Generator().manual_seed(0)
        image, weight, bias = (torch.randn(size, generator=random) for size in ((1, 4, 9, 10), (4, 4, 3, 3), (4,)))
        return torch.allclose(_convolve(image, weight, bias), F.conv2d(image, weight, bias, padding=1), atol=_CLOSE)
    except (AttributeError, RuntimeError, TypeError):
        return False


def _convolve(image: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    found: Tensor = torch._nnpack_spatial_convolution(image, weight, bias, (1, 1), (1, 1))
    return found


PAYS: bool = torch.backends.cpu.get_cpu_capability() == "AVX2" and _works()
"""Whether it is there, and faster than what else there is on this processor."""


def suits(convolution: nn.Conv2d, dtype: torch.dtype) -> bool:
    """Whether a convolution of stride 1 is to be computed so on this processor."""
    widths = min(convolution.in_channels, convolution.out_channels)
    square = convolution.kernel_size == (3, 3) and convolution.padding_mode == "zeros"
    return PAYS and dtype == torch.float32 and square and widths >= FEWEST_CHANNELS


def coarse_copies(network: nn.Module, dtype: torch.dtype) -> float:
    """How many times the features of a layer, in and out, are in memory at once while `network` runs."""
    transformed = any(isinstance(layer, nn.Conv2d) and suits(layer, dtype) for layer in network.modules())
    return _COPIES_TRANSFORMED if transformed else _COPIES


class WinogradResidual(nn.Module):
    """Two convolutions and the skip around them, with channels first, as NNPACK has them.

    Parameters
    ----------
    first, second
        The convolutions; see `suits`.
    slope
        Slope for negative values of the activation between them.
    scaling
        Factor of what is added to the skip.
    """

    def __init__(self, first: nn.Conv2d, slope: float, second: nn.Conv2d, scaling: float = 1.0) -> None:
        super().__init__()
        self.slope, self.scaling = slope, scaling
        self.in_place = False
        """Whether the input may be overwritten, because nothing else reads it."""
        for name, layer in (("first", first), ("second", second)):
            self.register_buffer(name, layer.weight.detach().float().contiguous())
            self.register_buffer(f"{name}_bias", None if layer.bias is None else layer.bias.detach().float())

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        given = features.to(self.get_buffer("first").dtype).contiguous()
        hidden = F.leaky_relu_(self._convolved(given, "first"), self.slope)
        added = self._convolved(hidden, "second")
        if self.in_place or given is not features:
            return given.add_(added, alpha=self.scaling)
        return torch.add(given, added, alpha=self.scaling, out=added)

    def _convolved(self, image: Tensor, name: str) -> Tensor:
        weight, bias = self.get_buffer(name), getattr(self, f"{name}_bias")
        if image.device.type != "cpu":
            return F.conv2d(image, weight, bias, padding=1)
        return _convolve(image, weight, bias)
