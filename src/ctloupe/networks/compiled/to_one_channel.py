"""Convolutions to a single channel of channels-last float32 features on a CPU, as the last one of a network."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ctloupe.networks.compiled import library


class _Job(ctypes.Structure):
    """What `to_one_channel.c` knows as that."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("image", "kernel", "out")),
        *((name, ctypes.c_int64) for name in ("height", "width", "in_row", "out_row")),
        *((name, ctypes.c_int64) for name in ("channels", "taps", "run", "next")),
        ("bias", ctypes.c_float),
        ("lanes", ctypes.c_int32),
    ]


@dataclass(frozen=True)
class Kernel:
    """Weights in the order in which they are multiplied.

    Attributes
    ----------
    numbers : (taps, run)
        The numbers of each row, pixel by pixel, and zeros up to whole registers.
    channels, taps
        Channels of the features, and side of the kernel.
    lanes
        Floats of the registers that it was made for.
    bias
        What is added.
    """

    numbers: Tensor
    channels: int
    taps: int
    lanes: int
    bias: float

    @property
    def beyond(self) -> int:
        """How many numbers are read, and count for nothing, behind those of the last pixel."""
        return self.numbers.shape[1] - self.taps * self.channels


def kernel_of(weight: Tensor, bias: Tensor | None) -> Kernel | None:
    """Prepare weights ``(1, channels, taps, taps)``; None where this installation has nothing compiled for them."""
    _, channels, taps, _ = weight.shape
    run = taps * channels
    # Of wide registers the last one is filled in part only; narrower ones are better where they need fewer numbers.
    lanes = min(library.registers(), key=lambda lanes: (-(-run // lanes), lanes), default=0)
    if not lanes or run < lanes:
        return None
    rows = weight.detach().float()[0].permute(1, 2, 0).reshape(taps, run)
    numbers = F.pad(rows, (0, -run % lanes)).contiguous()
    return Kernel(numbers, channels, taps, lanes, 0.0 if bias is None else float(bias))


def features_for(kernel: Kernel, height: int, width: int) -> Tensor:
    """Make room for features ``(h, w, channels)``, with what `convolve` reads behind them; it is not initialised."""
    count = height * width * kernel.channels
    made = torch.empty(count + kernel.beyond)
    # Zeros of the kernel would not make a number that is none vanish.
    made[count:] = 0
    return made[:count].view(height, width, kernel.channels)


def convolve(features: Tensor, kernel: Kernel, out: Tensor) -> None:
    """Convolve features into an image that is smaller by what the kernel reaches beyond its middle.

    Parameters
    ----------
    features : (h + taps − 1, w + taps − 1, channels)
        Whole rows of what `features_for` made.
    kernel
        See `kernel_of`.
    out : (h, w)
        What is written to; the pixels of a row lie side by side.
    """
    job = _Job()
    job.image, job.kernel, job.out = features.data_ptr(), kernel.numbers.data_ptr(), out.data_ptr()
    job.height, job.width = out.shape
    job.in_row, job.out_row = features.stride(0), out.stride(0)
    job.channels, job.taps, job.run = kernel.channels, kernel.taps, kernel.numbers.shape[1]
    job.bias, job.lanes = kernel.bias, kernel.lanes
    library.on_threads("to_one_channel", job, torch.get_num_threads())
