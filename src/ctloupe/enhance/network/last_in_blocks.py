"""The last convolution of a network, to one channel, for 4×4 fine pixels at once.

One output wastes most of a register. Here the features come before the last shuffle, two of whose columns stand side
by side as channels, and sixteen pixels are the outputs. It suits any processor and number format; in half precision
nothing of the image is rounded.
"""

from __future__ import annotations

from typing import ClassVar, Final

import torch
from torch import Tensor, nn

from ctloupe.enhance.network.fast_layers import channels_last, in_two_halves
from ctloupe.enhance.network.fast_step import PAIR
from ctloupe.enhance.network.fused import convolve, convolve_less, works_on

BLOCK: Final = 4
"""Side in fine pixels of what is computed at once: 16 outputs, a register of any processor."""


class BlockKernel(nn.Module):
    """Weights of the convolution, for a block of pixels.

    In half precision the result y is found in three parts that each are rounded and together are not:
    ``y₁ = W₁∗x``, then ``W₁∗x − y₁``, which is small, and ``W₂∗x`` for what the weights had lost.

    Parameters
    ----------
    last
        Convolution to one channel, with an odd kernel.
    dtype
        Type of the features.
    """

    high: Tensor
    low: Tensor | None
    bias: Tensor | None

    def __init__(self, last: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.frame = _Frame(last.kernel_size[0] // 2, last.padding_mode == "reflect")
        packed = _packed(last.weight.detach().float(), self.frame)
        high, low = in_two_halves(packed, dtype) if dtype != torch.float32 else (packed, None)
        self.register_buffer("high", channels_last(high, high.dtype))
        self.register_buffer("low", None if low is None else channels_last(low, low.dtype))
        bias = None if last.bias is None else last.bias.detach().float().repeat(BLOCK**2)
        self.register_buffer("bias", bias)

    @property
    def channels(self) -> int:
        """Channels of a pixel of the grid before the last shuffle."""
        return self.high.shape[1] // PAIR

    def forward(self, units: Tensor) -> Tensor:
        """Map pairs of pixels ``(1, 2·channels, h, w)`` to blocks ``(1, 16, r, w')``, in float32."""
        stride = (PAIR, 1)
        if self.low is None or not works_on(units):
            weight = self.high if self.low is None else self.high.float() + self.low.float()
            return convolve(units.float(), weight, self.bias, (0, 0), stride=stride)
        rounded = convolve(units, self.high, None, (0, 0), stride=stride)
        rest = convolve_less(units, rounded, self.high, (0, 0), stride)
        of_weights = convolve(units, self.low, None, (0, 0), stride=stride)
        found = rounded.float().add_(rest).add_(of_weights)
        return found if self.bias is None else found.add_(self.bias.view(-1, 1, 1))


class LastInBlocks:
    """Features before the last shuffle, which come strip by strip, and the image that they become.

    Parameters
    ----------
    kernel
        What the convolution multiplies with.
    borders
        Whether top, bottom, left and right are borders of the image.
    out : (h, w)
        The image, which is filled from above.
    """

    shuffles: ClassVar[bool] = False
    """Whether what it is given are sub-pixels."""

    def __init__(self, kernel: BlockKernel, borders: tuple[bool, bool, bool, bool], out: Tensor) -> None:
        self.kernel, self.frame, self.borders, self.out = kernel, kernel.frame, borders, out
        self.height, self.width = (size // PAIR for size in out.shape)
        self.units = -(-self.width // PAIR)
        self.held: Tensor | None = None
        self.rows = kernel.high.new_empty(0)
        self.taken = 0
        self.done = 0

    def room(self, count: int, width: int, is_last: bool) -> Tensor:
        """Rows ``(r, w, 4·c)`` for as many of features, behind those that are kept."""
        assert width == self.width
        frame, begin = self.frame, PAIR * self.frame.left
        above = len(self.held) if self.held is not None else frame.above
        # An odd row at the end is joined by one of zeros, whose image is cut off.
        below = frame.below + (self.height % PAIR) if is_last else 0
        columns = PAIR * (self.units + frame.left + frame.right)
        self.rows = rows = self.rows.new_empty(above + count + below, columns, self.kernel.channels)
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
        begin, columns = PAIR * frame.left, rows.shape[1]
        if frame.reflects:
            own = slice(0 if self.held is None else above, above + count)
            frame.reflect_columns(rows[own], begin, self.width, self.borders[2], self.borders[3])
            if self.held is None and self.borders[0]:
                frame.reflect_rows(rows, above, 1)
            if is_last and self.borders[1]:
                frame.reflect_rows(rows, above + count - 1, -1)
        blocks = max(0, (len(rows) - frame.height) // PAIR + 1)
        self.held = rows[PAIR * blocks :]
        if blocks:
            units = rows.view(len(rows), columns // PAIR, -1)
            self._fill(self.kernel(units.permute(2, 0, 1)[None]))

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
        self.above = -(-padding // PAIR)
        self.below = (BLOCK - 1 + padding) // PAIR - 1
        self.left = -(-padding // BLOCK)
        self.right = (BLOCK - 1 + padding) // BLOCK

    @property
    def height(self) -> int:
        """Rows that a block depends on."""
        return self.above + PAIR + self.below

    def reflect_columns(self, rows: Tensor, begin: int, width: int, left: bool, right: bool) -> None:
        """Fill the columns beyond the image; it is `width` columns from `begin` on, each of (row, column) sub-pixels.

        `rows` is ``(r, columns, 4·c)``.
        """
        fine = rows.unflatten(2, (PAIR, PAIR, -1))
        first, last = PAIR * begin, PAIR * (begin + width) - 1
        for away in range(1, self.padding + 1):
            for at_border, edge, outwards in ((left, first, -away), (right, last, away)):
                if at_border:
                    (there, sub), (here, own) = divmod(edge + outwards, PAIR), divmod(edge - outwards, PAIR)
                    fine[:, there, :, sub] = fine[:, here, :, own]

    def reflect_rows(self, rows: Tensor, edge: int, inwards: int) -> None:
        """Fill the rows beyond row `edge` of the features, which is the image's first or last one."""
        fine = rows.unflatten(2, (PAIR, PAIR, -1))
        border = PAIR * edge + (inwards < 0)
        for away in range(1, self.padding + 1):
            (there, sub), (here, own) = (divmod(border + way * inwards, PAIR) for way in (-away, away))
            fine[there, :, sub] = fine[here, :, own]


def _packed(weight: Tensor, frame: _Frame) -> Tensor:
    """Kernels ``(16, 8·c, rows, pairs)`` by which a ``(1, c, k, k)`` kernel acts for each pixel of a block.

    Fine pixel a of a block lies at 4i + a, and tap t of the kernel reaches 4i + a + t. Of the rows before the last
    shuffle, which go in steps of two a block, that is sub-pixel ``(a + t) mod 2`` of the row ``⌊(a + t)/2⌋`` from the
    block's first; columns are taken in pairs, so that it is sub-pixel ``(a + t) mod 4`` of the pair ``⌊(a + t)/4⌋``.
    """
    _, channels, size, _ = weight.shape
    pairs = frame.left + 1 + frame.right
    # Outputs (row, column), then what a pair holds: (column of the pair, sub-row, sub-column, channel).
    made = weight.new_zeros(BLOCK, BLOCK, PAIR, PAIR, PAIR, channels, frame.height, pairs)
    taps = range(-frame.padding, frame.padding + 1)
    for a in range(BLOCK):
        for tap in taps:
            row, sub_row = divmod(a + tap, PAIR)
            for b in range(BLOCK):
                for across in taps:
                    pair, within = divmod(b + across, BLOCK)
                    column, sub_column = divmod(within, PAIR)
                    place = (a, b, column, sub_row, sub_column, slice(None), row + frame.above, pair + frame.left)
                    made[place] = weight[0, :, tap + size // 2, across + size // 2]
    return made.flatten(2, 5).flatten(0, 1)
