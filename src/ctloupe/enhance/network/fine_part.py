"""Sub-pixel steps and the last convolution, in strips of rows that stay in the cache all the way to the image.

On the fine grids features are narrow and many: 32, 16 and 8 channels fill neither the registers nor the matrix units
of a processor, and each layer's features of a whole tile go to memory and back. Here a strip of coarse rows goes
through all the layers before the next one; what the next one looks at again, two rows for each step, is kept, so that
nothing is computed twice. The last convolution has one output only, which wastes most of a register; it is evaluated
for 4×4 fine pixels at once, from the features before the last shuffle, two of whose columns stand side by side as
channels.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Final

import torch
from torch import Tensor, nn

from ctloupe.enhance.network.fast_layers import FastConvolution, channels_last, in_two_halves, slope_of
from ctloupe.enhance.network.fused import convolve, convolve_less, works_on
from ctloupe.networks.blocks import SubPixelStep
from ctloupe.networks.tile import PlacedLayer
from ctloupe.networks.winograd import convolution as winograd

STRIP_BYTES: Final = 16 << 20
"""Bytes of the largest features of a strip (`python benchmarks/tries.py`)."""

BLOCK: Final = 4
"""Side in fine pixels of what the last convolution computes at once: 16 outputs, a register of any processor."""

_PAIR: Final = 2
"""Rows and columns of a grid that a pixel of the grid before becomes."""


class FineStrips(PlacedLayer):
    """Sub-pixel steps and the convolution to one channel behind them, with a float32 result.

    In half precision the result y is found in three parts that each are rounded and together are not:
    ``y₁ = W₁∗x``, then ``W₁∗x − y₁``, which is small, and ``W₂∗x`` for what the weights had lost.

    Parameters
    ----------
    steps
        Sub-pixel steps whose normalisation is folded; at least one.
    last
        Convolution to one channel, with an odd kernel.
    dtype
        Type of the features between them.
    """

    high: Tensor
    low: Tensor
    bias: Tensor | None

    def __init__(self, steps: Sequence[SubPixelStep], last: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.steps = nn.ModuleList(_reordered(step, dtype) for step in steps)
        self.frame = _Frame(last.kernel_size[0] // 2, last.padding_mode == "reflect")
        packed = _packed(last.weight.detach().float(), self.frame)
        high, low = in_two_halves(packed, dtype) if dtype != torch.float32 else (packed, None)
        self.register_buffer("high", channels_last(high, high.dtype))
        self.register_buffer("low", None if low is None else channels_last(low, low.dtype))
        bias = None if last.bias is None else last.bias.detach().float().repeat(BLOCK**2)
        self.register_buffer("bias", bias)

    @property
    def widest(self) -> int:
        """Numbers that a coarse pixel has at most in one layer."""
        return max(4**at * step.weight.shape[0] for at, step in enumerate(self._convolutions()))

    def _convolutions(self) -> list[FastConvolution]:
        return [step for step in self.steps if isinstance(step, FastConvolution)]

    def forward(self, features: Tensor) -> Tensor:
        """Map features ``(n, c, h, w)`` to the image ``(n, 1, s·h, s·w)``."""
        features = features.to(self.high.dtype).contiguous(memory_format=torch.channels_last)
        return torch.cat([self._image(features[at : at + 1]) for at in range(features.shape[0])])

    def _image(self, features: Tensor) -> Tensor:
        height, width = features.shape[-2:]
        first, *others = self._convolutions()
        scale = _PAIR ** len(self.steps)
        out = torch.empty(scale * height, scale * width, device=features.device)
        grids = [_Grid(width * _PAIR**at, step) for at, step in enumerate(others, 1)]
        borders = (True,) * 4 if self.tile is None else self.tile.at_border
        image = _Last(self, width * scale // _PAIR, height * scale // _PAIR, borders, out)
        rows = height
        if features.device.type == "cpu":
            bytes_of_a_row = self.widest * width * features.element_size()
            # As high as each other: a last strip of few rows costs almost as much as a whole one.
            strips = -(-height * bytes_of_a_row // STRIP_BYTES)
            rows = max(BLOCK, -(-height // strips))
        stages: list[_Grid | _Last] = [*grids, image]
        for begin in range(0, height, rows):
            end = min(height, begin + rows)
            is_last = end == height
            _lay(first, *first.seen(features, begin, end), stages[0], is_last)
            for grid, following in pairwise(stages):
                assert isinstance(grid, _Grid)
                _lay(grid.step, _as_image(grid.rows), (0, 0), following, is_last)
            image.fill(is_last)
        return out[None, None]


def _lay(
    step: FastConvolution, image: Tensor, beyond: tuple[int, int], following: _Grid | _Last, is_last: bool
) -> None:
    """Convolve an image, with so many rows of zeros above and below, and lay the result where it is read next."""
    pad = step.padding
    room = following.room(image.shape[2] + sum(beyond) - 2 * pad, is_last)
    if step.is_winograd(image):
        padding = winograd.Padding(beyond, (pad, pad))
        step.by_winograd(image, padding, out=_as_image(room), shuffles=following.shuffles)
        return
    found = step.within(image, beyond[0] > 0, beyond[1] > 0)
    if following.shuffles:
        _shuffle(found, room)
    else:
        room.copy_(found[0].permute(1, 2, 0))


class _Grid:
    """Rows of one grid that come strip by strip, and are convolved as soon as the rows around them are there.

    Parameters
    ----------
    width
        Columns of the grid.
    step
        Its convolution, whose padding is by zeros.
    """

    shuffles: ClassVar[bool] = True
    """Whether what it is given are sub-pixels."""

    def __init__(self, width: int, step: FastConvolution) -> None:
        self.width, self.step = width, step
        pad, weight = step.padding, step.weight
        self.rows = weight.new_zeros(pad, width, weight.shape[1])
        """What the convolution sees, with the rows that it sees again; at first the zeros above the grid."""

    def room(self, count: int, is_last: bool) -> Tensor:
        """Rows ``(2r, w, c)`` for the sub-pixels of `count` rows of the grid before, behind those that are kept."""
        pad = self.step.padding
        held = self.rows[-2 * pad :]
        begin, end = len(held), len(held) + _PAIR * count
        self.rows = self.rows.new_empty(end + pad * is_last, *self.rows.shape[1:])
        self.rows[:begin] = held
        self.rows[end:] = 0
        return self.rows[begin:end]


class _Last:
    """Features before the last shuffle, which come strip by strip, and the image that they become.

    Parameters
    ----------
    layer
        Whose last convolution it is.
    width, height
        Columns and rows of the grid of the features.
    borders
        Whether top, bottom, left and right are borders of the image.
    out
        The image, which is filled from above.
    """

    shuffles: ClassVar[bool] = False
    """Whether what it is given are sub-pixels."""

    def __init__(
        self, layer: FineStrips, width: int, height: int, borders: tuple[bool, bool, bool, bool], out: Tensor
    ) -> None:
        self.layer, self.frame, self.borders, self.out = layer, layer.frame, borders, out
        self.width, self.height = width, height
        self.units = -(-width // _PAIR)
        self.held: Tensor | None = None
        self.rows = layer.high.new_empty(0)
        self.taken = 0
        self.done = 0

    def room(self, count: int, is_last: bool) -> Tensor:
        """Rows ``(r, w, 4·c)`` for as many of features, behind those that are kept."""
        frame, begin = self.frame, _PAIR * self.frame.left
        above = len(self.held) if self.held is not None else frame.above
        # An odd row at the end is joined by one of zeros, whose image is cut off.
        below = frame.below + (self.height % _PAIR) if is_last else 0
        columns = _PAIR * (self.units + frame.left + frame.right)
        self.rows = rows = self.rows.new_empty(above + count + below, columns, self.layer.high.shape[1] // _PAIR)
        rows[:above] = 0 if self.held is None else self.held
        rows[above + count :] = 0
        rows[above:, :begin] = 0
        rows[above:, begin + self.width :] = 0
        self.taken = count
        return rows[above : above + count, begin : begin + self.width]

    def fill(self, is_last: bool) -> None:
        """Fill as much of the image as the features suffice for that lie in the room now."""
        frame, rows, count = self.frame, self.rows, self.taken
        above = len(self.held) if self.held is not None else frame.above
        begin, columns = _PAIR * frame.left, rows.shape[1]
        if frame.reflects:
            own = slice(0 if self.held is None else above, above + count)
            frame.reflect_columns(rows[own], begin, self.width, self.borders[2], self.borders[3])
            if self.held is None and self.borders[0]:
                frame.reflect_rows(rows, above, 1)
            if is_last and self.borders[1]:
                frame.reflect_rows(rows, above + count - 1, -1)
        blocks = max(0, (len(rows) - frame.height) // _PAIR + 1)
        self.held = rows[_PAIR * blocks :]
        if blocks:
            units = _as_image(rows.view(len(rows), columns // _PAIR, -1))
            self._fill(self._convolved(units))

    def _convolved(self, units: Tensor) -> Tensor:
        """Blocks of fine pixels ``(1, 16, r, units)``, in float32."""
        layer, stride = self.layer, (_PAIR, 1)
        if layer.low is None or not works_on(units):
            weight = layer.high if layer.low is None else layer.high.float() + layer.low.float()
            return convolve(units.float(), weight, layer.bias, (0, 0), stride=stride)
        rounded = convolve(units, layer.high, None, (0, 0), stride=stride)
        rest = convolve_less(units, rounded, layer.high, (0, 0), stride)
        of_weights = convolve(units, layer.low, None, (0, 0), stride=stride)
        found = rounded.float().add_(rest).add_(of_weights)
        return found if layer.bias is None else found.add_(layer.bias.view(-1, 1, 1))

    def _fill(self, blocks: Tensor) -> None:
        """Lay blocks into the image where those before them end."""
        count, units = blocks.shape[-2:]
        made = blocks[0].permute(1, 2, 0).unflatten(2, (BLOCK, BLOCK)).permute(0, 2, 1, 3)
        width = self.out.shape[1]
        rows = self.out[self.done : self.done + BLOCK * count]
        if rows.shape == (BLOCK * count, BLOCK * units):
            rows.view(count, BLOCK, units, BLOCK).copy_(made)
        else:
            rows.copy_(made.reshape(BLOCK * count, BLOCK * units)[: len(rows), :width])
        self.done += BLOCK * count


class _Frame:
    """How far the last convolution looks beyond a block of fine pixels, and what lies beyond the image.

    Parameters
    ----------
    padding
        Fine pixels that the kernel reaches to either side.
    reflects
        Whether the image is reflected beyond its border; else there are zeros.

    Attributes
    ----------
    above, below
        Rows of the grid before the last shuffle beyond the two of a block.
    left, right
        Pairs of its columns beyond the one of a block.
    """

    def __init__(self, padding: int, reflects: bool) -> None:
        self.padding, self.reflects = padding, reflects and padding > 0
        self.above = -(-padding // _PAIR)
        self.below = (BLOCK - 1 + padding) // _PAIR - 1
        self.left = -(-padding // BLOCK)
        self.right = (BLOCK - 1 + padding) // BLOCK

    @property
    def height(self) -> int:
        """Rows that a block depends on."""
        return self.above + _PAIR + self.below

    def reflect_columns(self, rows: Tensor, begin: int, width: int, left: bool, right: bool) -> None:
        """Fill the columns beyond the image; it is `width` columns from `begin` on, each of (row, column) sub-pixels.

        `rows` is ``(r, columns, 4·c)``.
        """
        fine = rows.unflatten(2, (_PAIR, _PAIR, -1))
        first, last = _PAIR * begin, _PAIR * (begin + width) - 1
        for away in range(1, self.padding + 1):
            for at_border, edge, outwards in ((left, first, -away), (right, last, away)):
                if at_border:
                    (there, sub), (here, own) = divmod(edge + outwards, _PAIR), divmod(edge - outwards, _PAIR)
                    fine[:, there, :, sub] = fine[:, here, :, own]

    def reflect_rows(self, rows: Tensor, edge: int, inwards: int) -> None:
        """Fill the rows beyond row `edge` of the features, which is the image's first or last one."""
        fine = rows.unflatten(2, (_PAIR, _PAIR, -1))
        border = _PAIR * edge + (inwards < 0)
        for away in range(1, self.padding + 1):
            (there, sub), (here, own) = (divmod(border + way * inwards, _PAIR) for way in (-away, away))
            fine[there, :, sub] = fine[here, :, own]


def _shuffle(features: Tensor, rows: Tensor) -> None:
    """Lay the sub-pixels of `features` ``(1, 4·c, r, w)`` into `rows` ``(2r, 2w, c)``: whole runs of channels."""
    _, channels, height, width = features.shape
    runs = features[0].permute(1, 2, 0).reshape(height, width, _PAIR, channels // _PAIR)
    rows.view(height, _PAIR, width, channels // _PAIR).copy_(runs.transpose(1, 2))


def _as_image(rows: Tensor) -> Tensor:
    """``(r, w, c)`` as ``(1, c, r, w)``, stored as it is."""
    return rows.permute(2, 0, 1)[None]


def _reordered(step: SubPixelStep, dtype: torch.dtype) -> FastConvolution:
    """The convolution of a step with its activation, where it is the same before the shuffle.

    Its outputs are reordered from PyTorch's ``(channel, sub-pixel)`` to ``(sub-pixel, channel)``, so that the two
    pixels that a row gets from one lie side by side.
    """
    slope = slope_of(step.activation)
    assert slope is not None
    reordered = copy.deepcopy(step.convolution).requires_grad_(False)
    for parameter in (reordered.weight, reordered.bias):
        if parameter is not None:
            parameter.data = parameter.data.unflatten(0, (-1, _PAIR**2)).transpose(0, 1).flatten(0, 1).contiguous()
    return FastConvolution(reordered, slope, dtype, run=reordered.out_channels // _PAIR**2)


def _packed(weight: Tensor, frame: _Frame) -> Tensor:
    """Kernels ``(16, 8·c, rows, pairs)`` by which a ``(1, c, k, k)`` kernel acts for each pixel of a block.

    Fine pixel a of a block lies at 4i + a, and tap t of the kernel reaches 4i + a + t. Of the rows before the last
    shuffle, which go in steps of two a block, that is sub-pixel ``(a + t) mod 2`` of the row ``⌊(a + t)/2⌋`` from the
    block's first; columns are taken in pairs, so that it is sub-pixel ``(a + t) mod 4`` of the pair ``⌊(a + t)/4⌋``.
    """
    _, channels, size, _ = weight.shape
    pairs = frame.left + 1 + frame.right
    # Outputs (row, column), then what a pair holds: (column of the pair, sub-row, sub-column, channel).
    made = weight.new_zeros(BLOCK, BLOCK, _PAIR, _PAIR, _PAIR, channels, frame.height, pairs)
    taps = range(-frame.padding, frame.padding + 1)
    for a in range(BLOCK):
        for tap in taps:
            row, sub_row = divmod(a + tap, _PAIR)
            for b in range(BLOCK):
                for across in taps:
                    pair, within = divmod(b + across, BLOCK)
                    column, sub_column = divmod(within, _PAIR)
                    place = (a, b, column, sub_row, sub_column, slice(None), row + frame.above, pair + frame.left)
                    made[place] = weight[0, :, tap + size // 2, across + size // 2]
    return made.flatten(2, 5).flatten(0, 1)
