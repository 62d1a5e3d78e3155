"""oneDNN's convolution with its activation and its sum, which PyTorch has as operations of its own.

They are private, so that each number format is tried once, on a small image; where that fails, plain operations do the
same.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

NO_ACTIVATION: Final = 1.0
"""Slope for negative values of a layer without activation; 0 is ReLU."""

_NEAR: Final = {torch.float32: 1e-5, torch.bfloat16: 0.2}
"""How far results in a number format may be from those in float32."""


def _works_in(dtype: torch.dtype) -> bool:
    """Whether this build and this processor convolve with activation and sum in `dtype`, and do what we think."""
    try:
        random = torch.Generator().manual_seed(0)
        image, weight, bias = (torch.randn(size, generator=random) for size in ((1, 2, 6, 6), (2, 2, 3, 3), (2,)))
        plain = F.conv2d(image, weight, padding=1)
        half, kernel = image.to(dtype), weight.to(dtype)
        fused = torch.ops.mkldnn._convolution_pointwise(
            half, kernel, None, [1, 1], [1, 1], [1, 1], 1, "leaky_relu", [0.1], ""
        )
        # In half precision the bias may stay in float32 here, and only here.
        biased = torch.ops.mkldnn._convolution_pointwise(half, kernel, bias, [1, 1], [1, 1], [1, 1], 1, "none", [], "")
        rest = torch.ops.mkldnn._convolution_pointwise.binary(
            half, plain.to(dtype), kernel, None, [1, 1], [1, 1], [1, 1], 1, "sub", None, None, [], None
        )
        found = ((fused, F.leaky_relu(plain, 0.1)), (biased, plain + bias.view(1, -1, 1, 1)), (rest, 0 * plain))
        return all(bool((one.float() - wanted).abs().max() < _NEAR[dtype]) for one, wanted in found)
    except (AttributeError, RuntimeError, TypeError):
        return False


FORMATS: frozenset[torch.dtype] = frozenset(dtype for dtype in _NEAR if _works_in(dtype))
"""Number formats in which they work here."""


def works_on(image: Tensor) -> bool:
    """Whether they work on what is stored as `image` is."""
    return image.device.type == "cpu" and image.dtype in FORMATS


def convolve(
    image: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: tuple[int, int],
    slope: float = NO_ACTIVATION,
    stride: tuple[int, int] = (1, 1),
) -> Tensor:
    """Convolve with zero padding and activate; a `slope` of 1 is no activation, one of 0 is ReLU."""
    if works_on(image):
        kind, numbers = ("none", []) if slope == NO_ACTIVATION else ("leaky_relu", [slope])
        if slope == 0:
            kind, numbers = "relu", []
        fused: Tensor = torch.ops.mkldnn._convolution_pointwise(
            image, weight, bias, list(padding), list(stride), [1, 1], 1, kind, numbers, ""
        )
        return fused
    bias = None if bias is None else bias.to(weight.dtype)
    result = F.conv2d(image, weight, bias, stride=stride, padding=padding)
    return result if slope == NO_ACTIVATION else F.leaky_relu_(result, slope)


def convolve_onto(out: Tensor, image: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> None:
    """Add a convolution to `out`, in place; only where `works_on` says that it works."""
    torch.ops.mkldnn._convolution_pointwise_.binary(
        out, image, weight, bias, list(padding), [1, 1], [1, 1], 1, "add", 1.0, None, [], None
    )


def convolve_less(
    image: Tensor, subtracted: Tensor, weight: Tensor, padding: tuple[int, int], stride: tuple[int, int] = (1, 1)
) -> Tensor:
    """A convolution less what is given, rounded once; only where `works_on` says that it works."""
    rest: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(
        image, subtracted, weight, None, list(padding), list(stride), [1, 1], 1, "sub", None, None, [], None
    )
    return rest
