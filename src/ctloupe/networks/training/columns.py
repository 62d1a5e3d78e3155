"""Convolutions on channels-last images whose weight gradients are matrix products over columns of pixels."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from ctloupe.networks.training.plain_gradients import plain_gradients, wanted

_COLUMNS_BYTES: Final = 4_000_000
"""Size of the columns that are made at once, so that they stay in the cache."""


def _weight_gradient(large: Tensor, small: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Sum over places of what the kernel sees in `large`, times `small`.

    Parameters
    ----------
    large : (n, a, h', w')
        Input of the convolution.
    small : (n, b, h, w)
        Gradient of its output.
    kernel, stride, padding
        Those of the convolution.

    Returns
    -------
    Tensor of shape (b, a, kernel, kernel)
    """
    rim = F.pad(large.permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding)).contiguous()
    output = small.permute(0, 2, 3, 1).contiguous()
    count, height, width, outputs = output.shape
    inputs, row = rim.shape[3], rim.stride(1)
    length = kernel**2 * inputs
    rows = max(1, min(height, _COLUMNS_BYTES // (4 * width * length)))
    columns, found = rim.new_empty(rows * width * length), rim.new_zeros(length, outputs)
    for image in range(count):
        for first in range(0, height, rows):
            last = min(first + rows, height)
            start = image * rim.stride(0) + first * stride * row
            shape, steps = (last - first, width, kernel, kernel * inputs), (stride * row, stride * inputs, row, 1)
            made = columns[: (last - first) * width * length].view(shape)
            made.copy_(rim.as_strided(shape, steps, start))
            found.addmm_(made.view(-1, length).T, output[image, first:last].reshape(-1, outputs))
    return found.view(kernel, kernel, inputs, outputs).permute(3, 2, 0, 1)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(image, weight, bias)
        ctx.sizes = stride, padding
        return F.conv2d(image, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, weight, bias = ctx.saved_tensors
        (stride, padding), asked = ctx.sizes, wanted(ctx, image, weight, bias)
        by_image, by_weight, by_bias = asked
        if torch.is_grad_enabled():
            plainly = partial(F.conv2d, stride=stride, padding=padding)
            return *plain_gradients(plainly, (image, weight, bias), gradient, asked), None, None
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_image = of_weight = None
        if by_image:
            of_image = _input_gradient(gradient, image, weight, stride, padding)
        if by_weight:
            of_weight = _weight_gradient(image, gradient, weight.shape[-1], stride, padding)
        return of_image, of_weight, gradient.sum((0, 2, 3)) if by_bias else None, None, None


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, image: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, more: int
    ) -> Tensor:
        ctx.save_for_backward(image, weight, bias)
        ctx.sizes = stride, padding, more
        return F.conv_transpose2d(image, weight, bias, stride, padding, more)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, weight, bias = ctx.saved_tensors
        (stride, padding, more), asked = ctx.sizes, wanted(ctx, image, weight, bias)
        by_image, by_weight, by_bias = asked
        if torch.is_grad_enabled():
            plainly = partial(F.conv_transpose2d, stride=stride, padding=padding, output_padding=more)
            found = plain_gradients(plainly, (image, weight, bias), gradient, asked)
            return *found, None, None, None
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_image = of_weight = None
        if by_image:
            of_image = F.conv2d(gradient, weight, None, stride, padding)
        if by_weight:
            of_weight = _weight_gradient(gradient, image, weight.shape[-1], stride, padding)
        return of_image, of_weight, gradient.sum((0, 2, 3)) if by_bias else None, None, None, None


def _input_gradient(gradient: Tensor, image: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    outputs, inputs, kernel, _ = weight.shape
    if _has_few_columns(inputs, outputs, kernel):
        places = gradient.permute(0, 2, 3, 1).flatten(1, 2).mT
        columns = torch.matmul(weight.reshape(outputs, -1).T, places)
        return F.fold(columns, (image.shape[2], image.shape[3]), kernel, padding=padding, stride=stride)
    found: Tensor = torch.ops.aten.convolution_backward(
        gradient, image, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, [True, False, False]
    )[0]
    return found


def _has_few_columns(inputs: int, outputs: int, kernel: int) -> bool:
    """Whether what a kernel sees at a place are no more numbers than what it gives there."""
    return inputs * kernel**2 <= outputs


def convolved(image: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """Convolve images ``(n, in, h, w)`` as `torch.nn.functional.conv2d` does, with zeros around them."""
    image = image.contiguous(memory_format=torch.channels_last)
    made: Tensor = _Convolution.apply(image, weight, bias, stride, padding)
    return made


def transposed(image: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, more: int) -> Tensor:
    """Do what `torch.nn.functional.conv_transpose2d` does, with an output padding of `more`."""
    image = image.contiguous(memory_format=torch.channels_last)
    made: Tensor = _Transposed.apply(image, weight, bias, stride, padding, more)
    return made
