"""Convolutions by Winograd's minimal filtering on channels-last float32 images on a CPU.

A 3×3 convolution of 4×4 outputs at once needs 36 multiplications instead of 144, a 4×4 one of 3×3 outputs 36 instead
of 144, and a 2×2 one of 5×5 outputs 36 instead of 100 (Lavin and Gray 2016, arXiv:1509.09308). What it rounds is a few
times what a direct convolution does, far below the last digit of HU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from ctloupe.networks.compiled import library, winograd_job

SIDE: Final = 6
"""Side of the tiles that are transformed."""

TAPS: Final = (2, 3, 4)
"""Sides of kernels that are known."""

SUB_PIXELS: Final = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Rows and columns of the sub-pixels that quarters of the outputs become."""

_TILES: Final = 12
"""Tiles that go through a convolution together: few enough for the second-level cache, enough for a good product."""

_NARROW: Final = 16
"""Inputs up to which three times as many do, which are then asked for less often."""

_LARGE_SUMS: Final = 1 << 15
"""Weights from which on the sums of their gradient leave that cache too, and are to be read and written less often."""

_TILES_OF_LARGE_SUMS: Final = 96
"""How many tiles go together then."""

_WIDE: Final = 96
"""Inputs from which on transformed tiles leave that cache, and are to be multiplied with more outputs at once."""

_WIDE_BLOCKS: Final = 8
"""How many blocks of outputs these are then."""

_POINTS: Final = (0.0, 1.0, -1.0, 2.0, -2.0)
"""Where polynomials are evaluated, besides infinity."""


@dataclass(frozen=True)
class Padding:
    """What a convolution sees beyond its image.

    Attributes
    ----------
    rows, columns
        How far before the first and behind the last one.
    reflects
        Whether the image is reflected there; else there are zeros.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    reflects: bool = False

    @classmethod
    def around(cls, width: int, reflects: bool = False) -> Padding:
        """Return a padding that is as wide on all sides."""
        return cls((width, width), (width, width), reflects)


@dataclass(frozen=True)
class Kernel:
    """Weights, transformed and in the order in which they are multiplied.

    Attributes
    ----------
    numbers : (blocks, 36, inputs, outputs of a block)
        Transformed weights; a block has two registers of outputs, of which the last may be empty.
    outputs
        Channels of the result.
    taps
        Side of the kernel.
    """

    numbers: Tensor
    outputs: int
    taps: int

    @property
    def inputs(self) -> int:
        """Channels of the image."""
        return self.numbers.shape[2]

    @property
    def lanes(self) -> int:
        """Floats of the registers that it was made for."""
        return self.numbers.shape[3] // 2

    @property
    def side(self) -> int:
        """Side of the tiles of the result."""
        return tile_side(self.taps)


def tile_side(taps: int) -> int:
    """Side of the tiles of a result, of a kernel with so many taps."""
    return SIDE - taps + 1


def tile_count(count: int, size: tuple[int, int], side: int) -> int:
    """How many tiles of a side cover so many images of `size`."""
    return count * -(-size[0] // side) * -(-size[1] // side)


def lanes_for(inputs: int, outputs: int, run: int | None = None) -> int:
    """Floats of the registers that suit so many channels; 0 if there are none, on this machine or for these channels.

    Parameters
    ----------
    inputs, outputs
        Channels of image and result.
    run
        How many outputs lie side by side, where they are sub-pixels; all of them: None.
    """
    return library.registers_for(inputs, outputs, run or outputs)


@torch.no_grad()
def transformed(weight: Tensor, lanes: int) -> Kernel:
    """Transform weights ``(outputs, inputs, taps, taps)`` for registers of `lanes` floats."""
    outputs, inputs, taps, _ = weight.shape
    weight = weight.float()
    if outputs % (2 * lanes):
        weight = F.pad(weight, (0, 0, 0, 0, 0, 0, 0, lanes))
    # In the order of the result before there are four times as many numbers.
    blocks = weight.reshape(-1, 2 * lanes, inputs, taps * taps).permute(0, 3, 2, 1).flatten(2)
    found = torch.matmul(_kernel_transform(taps), blocks)
    return Kernel(found.view(-1, SIDE**2, inputs, 2 * lanes), outputs, taps)


@torch.no_grad()
def weight_gradient(products: Tensor, taps: int) -> Tensor:
    """Gradient of weights ``(outputs, inputs, taps, taps)`` from that of the transformed ones, ``(36, in, out)``."""
    found = (_kernel_transform(taps).T @ products.flatten(1)).view(taps, taps, *products.shape[1:])
    return found.permute(3, 2, 0, 1)


@cache
def _kernel_transform(taps: int) -> Tensor:
    """The matrix G ⊗ G of a kernel with so many taps: its polynomial at each point, over that of the other points."""
    rows = []
    for point in _POINTS:
        others = 1.0
        for other in _POINTS:
            others *= 1.0 if other == point else point - other
        rows.append([point**power / others for power in range(taps)])
    rows.append([0.0] * (taps - 1) + [1.0])
    one = torch.tensor(rows, dtype=torch.float64)
    return torch.kron(one, one).float()


def convolve(
    image: Tensor,
    kernel: Kernel,
    bias: Tensor | None,
    padding: Padding,
    slope: float = 1.0,
    *,
    skip: Tensor | None = None,
    out: Tensor | None = None,
    shuffles: bool = False,
) -> Tensor:
    """Convolve images, activate, and add a skip.

    Parameters
    ----------
    image : (n, inputs, h, w)
        Channels of a pixel lie side by side; float32 on a CPU.
    kernel
        See `transformed`.
    bias : (outputs,), optional
        Added before the activation.
    padding
        What lies beyond the image.
    slope
        Slope of the activation for negative values; 1: none.
    skip : (n, outputs, h', w'), optional
        Added after the activation; stored like the image. It may be `out`.
    out : (n, outputs, h', w') or (n, outputs / 4, 2·h', 2·w'), optional
        What is written to.
    shuffles
        Whether the outputs, in the order (sub-row, sub-column, channel), become sub-pixels.

    Returns
    -------
    Tensor
        `out`, or one that was made for it.

    Raises
    ------
    MemoryError
        If there is not enough memory for what a thread works on.
    """
    size = height, width = result_size(image, kernel.taps, padding)
    if out is None:
        shape = (kernel.outputs // 4, 2 * height, 2 * width) if shuffles else (kernel.outputs, height, width)
        out = torch.empty((len(image), *shape), memory_format=torch.channels_last)
    if not out.numel():
        return out
    job = job_of(image, kernel.side, padding, size)
    write_to(job, out, kernel.outputs, kernel.lanes, SUB_PIXELS if shuffles else None)
    if skip is not None:
        job.skip = skip.data_ptr()
        job.skip_image, job.skip_row, job.skip_column = skip.stride(0), skip.stride(2), skip.stride(3)
    run(job, kernel, bias, slope)
    return out


def result_size(image: Tensor, taps: int, padding: Padding) -> tuple[int, int]:
    """Rows and columns of the result of a convolution."""
    height, width = image.shape[2:]
    return height + sum(padding.rows) - taps + 1, width + sum(padding.columns) - taps + 1


def run(job: winograd_job.Job, kernel: Kernel, bias: Tensor | None, slope: float = 1.0) -> None:
    """Convolve, when all is said but by what and with which bias and activation."""
    zeros = _zeros(max(kernel.inputs, kernel.outputs))
    job.kernel, job.zeros, job.slope = kernel.numbers.data_ptr(), zeros.data_ptr(), slope
    job.bias = zeros.data_ptr() if bias is None else bias.data_ptr()
    if kernel.inputs <= _NARROW:
        job.tiles_at_once = 3 * _TILES
    job.outputs_at_once = 2 * kernel.lanes * (_WIDE_BLOCKS if kernel.inputs > _WIDE else 1)
    winograd_job.convolve(job, kernel.lanes)


def products(image: Tensor, gradient: Tensor, taps: int, padding: Padding, lanes: int, stride: int = 1) -> Tensor:
    """Gradient of the transformed weights, for `weight_gradient`.

    Parameters
    ----------
    image : (n, inputs, h, w)
        What was convolved; channels-last.
    gradient : (n, outputs, h', w')
        Gradient of the result without activation; channels-last.
    taps, padding
        Side of its kernel, and what it saw beyond the image.
    lanes
        See `lanes_for`.
    stride
        Step in which the image was seen: 1, or 2, of whose four images each had a kernel of so many taps.

    Returns
    -------
    Tensor of shape (36, inputs, outputs)

    Raises
    ------
    MemoryError
        If there is not enough memory for what a thread works on.
    """
    inputs, outputs = image.shape[1] * stride**2, gradient.shape[1]
    job = job_of(image, tile_side(taps), padding, (gradient.shape[2], gradient.shape[3]), stride)
    write_to(job, gradient, outputs, lanes)
    zeros = _zeros(inputs)
    job.zeros = zeros.data_ptr()
    if inputs * outputs >= _LARGE_SUMS:
        job.tiles_at_once = _TILES_OF_LARGE_SUMS
    return winograd_job.gradient(job, lanes)[..., :outputs]


def job_of(image: Tensor, side: int, padding: Padding, size: tuple[int, int], stride: int = 1) -> winograd_job.Job:
    """What both kinds of work need to know of the image, for a result of `size` in tiles of `side`."""
    job = winograd_job.Job()
    rows = _table(image.shape[2], *padding.rows, padding.reflects, stride)
    columns = _table(image.shape[3], *padding.columns, padding.reflects, stride)
    job.image, job.row_of, job.column_of = image.data_ptr(), rows.data_ptr(), columns.data_ptr()
    job.in_image, job.in_row, job.in_column = image.stride(0), image.stride(2), image.stride(3)
    job.inputs, job.side, job.stride = image.shape[1] * stride**2, side, stride
    job.height, job.width = size
    job.tiles = tile_count(len(image), size, side)
    job.tiles_at_once = _TILES
    job.tables = rows, columns
    return job


def write_to(
    job: winograd_job.Job, out: Tensor, outputs: int, lanes: int, sub_pixels: tuple[tuple[int, int], ...] | None = None
) -> None:
    """Say where the outputs go, whose quarters become those `sub_pixels`, rows and columns of each square of four."""
    job.out, job.outputs = out.data_ptr(), outputs
    image, row, column = out.stride(0), out.stride(2), out.stride(3)
    beside = None if sub_pixels is None else tuple(down * row + across * column for down, across in sub_pixels)
    places = _places(outputs, lanes, beside)
    job.place_of = places.data_ptr()
    factor = 1 if sub_pixels is None else 2
    job.out_image, job.out_row, job.out_column = image, factor * row, factor * column
    job.tables = *job.tables, places


@cache
def _zeros(count: int) -> Tensor:
    return torch.zeros(count)


@lru_cache(256)
def _table(size: int, before: int, behind: int, reflects: bool, stride: int) -> Tensor:
    """Row of the image for each row of the padded one, and −1 for zeros, as far as tiles may reach."""
    rows = torch.arange(-before, size + behind + stride * SIDE)
    if reflects:
        rows = torch.where(rows < 0, -rows, rows)
        rows = torch.where(rows >= size, 2 * (size - 1) - rows, rows)
    return torch.where((rows < 0) | (rows >= size), -1, rows)


@lru_cache(256)
def _places(outputs: int, lanes: int, beside: tuple[int, ...] | None) -> Tensor:
    """Where each register of outputs lies beside its pixel; as sub-pixels, where these are so far from it."""
    first = torch.arange(0, outputs, lanes)
    if beside is None:
        return first
    sub, within = first // (outputs // 4), first % (outputs // 4)
    return torch.tensor(beside)[sub] + within
