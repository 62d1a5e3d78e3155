"""Convolutions of stride 2 with their gradients by the compiled Winograd's, on float32 images on a CPU."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from ctloupe.networks.compiled import strided
from ctloupe.networks.compiled.winograd import tile_count, tile_side
from ctloupe.networks.training.plain_gradients import plain_gradients, wanted
from ctloupe.networks.training.winograd import Kernels

FEWEST_TILES: Final = 32
"""Fewer of a batch do not make up for the time that transforming the weights takes."""


def suits(weight: Tensor, padding: int) -> bool:
    """Whether a convolution of stride 2 with such weights is quicker so: of 3×3 taps PyTorch's are as quick."""
    outputs, inputs, taps, _ = weight.shape
    return taps == 4 and strided.suits(inputs, outputs, taps, padding)


def tiles(image: Tensor) -> int:
    """How many tiles the result of a batch is cut into."""
    return tile_count(len(image), (image.shape[2] // 2, image.shape[3] // 2), tile_side(2))


def transformed(weight: Tensor) -> Kernels:
    """Transform weights ``(out, in, k, k)``."""
    make = strided.kernel_of_smaller, strided.kernel_of_larger
    return Kernels(*(partial(one, weight.detach()) for one in make))


class _Smaller(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor | None, kernels: Kernels, padding: int) -> Tensor:
        ctx.save_for_backward(image, weight, bias)
        ctx.kernels, ctx.padding = kernels, padding
        return strided.smaller(image, kernels.forward, bias, weight.shape[2], padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, weight, bias = ctx.saved_tensors
        by_image, by_weight, by_bias = asked = wanted(ctx, image, weight, bias)
        taps, padding = weight.shape[2], ctx.padding
        size = image.shape[2], image.shape[3]
        if torch.is_grad_enabled():
            if by_weight or by_bias:
                plainly = partial(F.conv2d, stride=2, padding=padding)
                found = plain_gradients(plainly, (image, weight, bias), gradient, asked)
                return *found, None, None
            gradient = gradient.contiguous(memory_format=torch.channels_last)
            return _Larger.apply(gradient, weight, ctx.kernels, padding, size), None, None, None, None
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_image = strided.larger(gradient, ctx.kernels.backward, padding, size) if by_image else None
        of_weight = strided.weight_gradient(image, gradient, taps, padding) if by_weight else None
        return of_image, of_weight, gradient.sum((0, 2, 3)) if by_bias else None, None, None


class _Larger(torch.autograd.Function):
    """The gradient of the above by its image, which may be differentiated too."""

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, weight: Tensor, kernels: Kernels, padding: int, size: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(image, weight)
        ctx.kernels, ctx.padding = kernels, padding
        return strided.larger(image, kernels.backward, padding, size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, weight = ctx.saved_tensors
        by_image, by_weight = asked = wanted(ctx, image, weight)
        taps, padding = weight.shape[2], ctx.padding
        if torch.is_grad_enabled():
            size = gradient.shape[2:]
            plainly = partial(_directly_larger, padding=padding, size=(size[0], size[1]))
            return *plain_gradients(plainly, (image, weight), gradient, asked), None, None, None
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_image = strided.smaller(gradient, ctx.kernels.forward, None, taps, padding) if by_image else None
        of_weight = strided.weight_gradient(gradient, image, taps, padding) if by_weight else None
        return of_image, of_weight, None, None, None


def _directly_larger(image: Tensor, weight: Tensor, padding: int, size: tuple[int, int]) -> Tensor:
    rows, columns = (
        side - (2 * (of_image - 1) + weight.shape[2] - 2 * padding)
        for side, of_image in zip(size, image.shape[2:], strict=True)
    )
    return F.conv_transpose2d(image, weight, None, 2, padding, (rows, columns))


def convolved(image: Tensor, weight: Tensor, bias: Tensor | None, padding: int, kernels: Kernels) -> Tensor:
    """Convolve images in steps of two pixels; the same as `torch.nn.functional.conv2d` but for rounding.

    Parameters
    ----------
    image : (n, in, h, w)
        Images; channels-last is quickest.
    weight : (out, in, k, k)
        Weights for which `suits` says so.
    bias : (out,), optional
        What is added to each output.
    padding
        Width of the zeros around the image.
    kernels
        These weights, transformed.

    Returns
    -------
    Tensor of shape (n, out, h', w')
        It is channels-last.
    """
    image = image.contiguous(memory_format=torch.channels_last)
    made: Tensor = _Smaller.apply(image, weight, bias, kernels, padding)
    return made
