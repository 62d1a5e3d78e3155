"""Convolutions of stride 1 with their gradients by the compiled Winograd's, on float32 images on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from ctloupe.networks.compiled.winograd import (
    TAPS,
    Kernel,
    Padding,
    convolve,
    lanes_for,
    products,
    tile_count,
    tile_side,
    transformed,
    weight_gradient,
)
from ctloupe.networks.training.plain_gradients import plain_gradients, wanted

FEWEST_TILES: Final = 64
"""Fewer of a batch do not make up for the time that transforming the weights takes."""


def suits(weight: Tensor) -> bool:
    """Whether a convolution with such weights and its gradients can be computed so."""
    outputs, inputs, taps, _ = weight.shape
    return taps in TAPS and lanes_for(inputs, outputs) > 0 and lanes_for(outputs, inputs) > 0


def tiles(image: Tensor, taps: int) -> int:
    """How many tiles a batch is cut into."""
    return tile_count(len(image), (image.shape[2], image.shape[3]), tile_side(taps))


class Kernels:
    """Transformed weights, for the convolution and for the gradient of its image, each made when it is first used.

    Parameters
    ----------
    make_forward, make_backward
        What makes them.
    """

    def __init__(self, make_forward: Callable[[], Kernel], make_backward: Callable[[], Kernel]) -> None:
        self._make_forward, self._make_backward = make_forward, make_backward

    @cached_property
    def forward(self) -> Kernel:
        """That of the convolution."""
        return self._make_forward()

    @cached_property
    def backward(self) -> Kernel:
        """That of the gradient of its image."""
        return self._make_backward()

    @classmethod
    def of(cls, weight: Tensor) -> Kernels:
        """Transform weights ``(out, in, k, k)``."""
        return cls(partial(_of_image, weight.detach()), partial(_of_gradient, weight.detach()))

    def turned(self) -> Kernels:
        """Those of the convolution that the gradient of the image is."""
        return Kernels(partial(getattr, self, "backward"), partial(getattr, self, "forward"))


def _of_image(weight: Tensor) -> Kernel:
    outputs, inputs, *_ = weight.shape
    return transformed(weight, lanes_for(inputs, outputs))


def _of_gradient(weight: Tensor) -> Kernel:
    return _of_image(weight.flip(2, 3).transpose(0, 1))


def _image_gradient(gradient: Tensor, kernel: Kernel, rim: int, reflects: bool) -> Tensor:
    if not reflects:
        return convolve(gradient, kernel, None, Padding.around(kernel.taps - 1 - rim))
    whole = convolve(gradient, kernel, None, Padding.around(kernel.taps - 1)).permute(0, 2, 3, 1)
    height, width = whole.shape[1] - 2 * rim, whole.shape[2] - 2 * rim
    # What lies beyond the border was read from within it, rows after columns.
    for near in range(1, rim + 1):
        whole[:, rim + near] += whole[:, rim - near]
        whole[:, rim + height - 1 - near] += whole[:, rim + height - 1 + near]
    for near in range(1, rim + 1):
        whole[:, :, rim + near] += whole[:, :, rim - near]
        whole[:, :, rim + width - 1 - near] += whole[:, :, rim + width - 1 + near]
    return whole[:, rim : rim + height, rim : rim + width].permute(0, 3, 1, 2)


def _directly(image: Tensor, weight: Tensor, bias: Tensor | None, rim: int, reflects: bool) -> Tensor:
    return F.conv2d(F.pad(image, (rim,) * 4, "reflect" if reflects else "constant"), weight, bias)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, image: Tensor, weight: Tensor, bias: Tensor | None, kernels: Kernels, rim: int, reflects: bool
    ) -> Tensor:
        ctx.save_for_backward(image, weight, bias)
        ctx.kernels, ctx.rim, ctx.reflects = kernels, rim, reflects
        return convolve(image, kernels.forward, bias, Padding.around(rim, reflects))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, weight, bias = ctx.saved_tensors
        by_image, by_weight, by_bias = asked = wanted(ctx, image, weight, bias)
        if torch.is_grad_enabled():
            if by_weight or by_bias or ctx.reflects:
                plainly = partial(_directly, rim=ctx.rim, reflects=ctx.reflects)
                found = plain_gradients(plainly, (image, weight, bias), gradient, asked)
                return *found, None, None, None
            turned, rim = weight.flip(2, 3).transpose(0, 1), weight.shape[2] - 1 - ctx.rim
            return convolved(gradient, turned, None, rim, False, ctx.kernels.turned()), None, None, None, None, None
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        backward, taps = ctx.kernels.backward, weight.shape[2]
        of_image = of_weight = None
        if by_image:
            of_image = _image_gradient(gradient, backward, ctx.rim, ctx.reflects)
        if by_weight:
            lanes, around = ctx.kernels.forward.lanes, Padding.around(ctx.rim, ctx.reflects)
            of_weight = weight_gradient(products(image, gradient, taps, around, lanes), taps)
        return of_image, of_weight, gradient.sum((0, 2, 3)) if by_bias else None, None, None, None


def convolved(image: Tensor, weight: Tensor, bias: Tensor | None, rim: int, reflects: bool, kernels: Kernels) -> Tensor:
    """Convolve images; the same as `torch.nn.functional.conv2d` but for rounding.

    Parameters
    ----------
    image : (n, in, h, w)
        Images; channels-last is quickest.
    weight : (out, in, k, k)
        Weights for which `suits` says so.
    bias : (out,), optional
        What is added to each output.
    rim
        Width of the padding, less than the kernel's.
    reflects
        Whether it reflects the image; else it is of zeros.
    kernels
        These weights, transformed.

    Returns
    -------
    Tensor of shape (n, out, h', w')
        It is channels-last.
    """
    image = image.contiguous(memory_format=torch.channels_last)
    made: Tensor = _Convolution.apply(image, weight, bias, kernels, rim, reflects)
    return made
