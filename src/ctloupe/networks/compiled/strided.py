"""Convolutions of stride 2, their adjoints and gradients by Winograd's minimal filtering.

Every other row and column of an image make four images; a kernel of 3×3 or 4×4 taps and stride 2 is the sum of four of
2×2 taps and stride 1 on them (those of 3×3 have some that are zero), which need 36 multiplications for 5×5 outputs.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from ctloupe.networks.compiled import winograd
from ctloupe.networks.compiled.winograd import Kernel, Padding, job_of, lanes_for, products, run, write_to

PHASES: Final = ((1, 0), (0, 0), (0, 1), (1, 1))
"""Rows and columns of the four images in each square of four pixels, in the order in which `winograd.c` has them."""

_STRIDE: Final = 2
_TAPS: Final = 2
_WHOLE: Final = 4


def suits(inputs: int, outputs: int, taps: int, padding: int) -> bool:
    """Whether a convolution of stride 2 from so many channels to so many is computed here, and its adjoint.

    Parameters
    ----------
    inputs, outputs
        Channels of the larger image and of the smaller one.
    taps, padding
        Side of the kernel, and width of the zeros around the image.
    """
    sizes = taps in (3, _WHOLE) and taps - 3 <= padding < taps
    return sizes and lanes_for(inputs, outputs) > 0 and lanes_for(outputs, 4 * inputs, inputs) > 0


def kernel_of_smaller(weight: Tensor) -> Kernel:
    """Transform weights ``(outputs, inputs, taps, taps)`` for `smaller`."""
    outputs, inputs, *_ = weight.shape
    return winograd.transformed(_phases(weight), lanes_for(inputs, outputs))


def kernel_of_larger(weight: Tensor) -> Kernel:
    """Transform the same weights for `larger`."""
    outputs, inputs, *_ = weight.shape
    turned = _phases(weight).flip(2, 3).transpose(0, 1)
    return winograd.transformed(turned, lanes_for(outputs, 4 * inputs, inputs))


def _phases(weight: Tensor) -> Tensor:
    """Weights ``(outputs, inputs, taps, taps)`` as those of four images, ``(outputs, 4·inputs, 2, 2)``."""
    beyond = _WHOLE - weight.shape[2]
    whole = F.pad(weight, (0, beyond, 0, beyond))
    return torch.cat([whole[:, :, down::2, across::2] for down, across in PHASES], 1)


def smaller(image: Tensor, kernel: Kernel, bias: Tensor | None, taps: int, padding: int) -> Tensor:
    """Convolve images ``(n, inputs, h, w)`` in steps of two pixels, with zeros around them.

    Parameters
    ----------
    image
        Channels of a pixel lie side by side; float32 on a CPU.
    kernel
        See `kernel_of_smaller`.
    bias : (outputs,), optional
        What is added.
    taps, padding
        Side of the kernel, and width of the zeros.
    """
    height, width = ((side + 2 * padding - taps) // _STRIDE + 1 for side in image.shape[2:])
    out = torch.empty((len(image), kernel.outputs, height, width), memory_format=torch.channels_last)
    job = job_of(image, kernel.side, Padding.around(padding), (height, width), _STRIDE)
    write_to(job, out, kernel.outputs, kernel.lanes)
    run(job, kernel, bias)
    return out


def larger(image: Tensor, kernel: Kernel, padding: int, size: tuple[int, int]) -> Tensor:
    """Apply the adjoint of `smaller` to images ``(n, outputs, h', w')``.

    Parameters
    ----------
    image
        Channels of a pixel lie side by side; float32 on a CPU.
    kernel
        See `kernel_of_larger`.
    padding
        Width of the zeros that `smaller` sees.
    size
        Rows and columns of the result.

    Returns
    -------
    Tensor of shape (n, inputs, *size)
        Channels of a pixel lie side by side; it may be a part of something larger.
    """
    height, width = (side + 1 for side in image.shape[2:])
    channels = kernel.outputs // 4
    whole = torch.empty((len(image), channels, 2 * height, 2 * width), memory_format=torch.channels_last)
    job = job_of(image, kernel.side, Padding.around(_TAPS - 1), (height, width))
    write_to(job, whole, kernel.outputs, kernel.lanes, PHASES)
    run(job, kernel, None)
    return whole[:, :, padding : padding + size[0], padding : padding + size[1]]


def weight_gradient(image: Tensor, gradient: Tensor, taps: int, padding: int) -> Tensor:
    """Gradient of the weights ``(outputs, inputs, taps, taps)`` of `smaller`.

    Parameters
    ----------
    image, gradient
        What was convolved, and the gradient of the result; channels-last.
    taps, padding
        Those of `smaller`.
    """
    inputs, outputs = image.shape[1], gradient.shape[1]
    found = products(image, gradient, _TAPS, Padding.around(padding), lanes_for(inputs, outputs), _STRIDE)
    by_phase = winograd.weight_gradient(found, _TAPS)
    whole = by_phase.new_empty(outputs, inputs, _WHOLE, _WHOLE)
    for (down, across), one in zip(PHASES, by_phase.chunk(4, 1), strict=True):
        whole[:, :, down::2, across::2] = one
    return whole[:, :, :taps, :taps]
