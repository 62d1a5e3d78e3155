"""Sub-pixel steps and the last convolution, in strips of rows that stay in the cache all the way to the image.

On the fine grids features are narrow and many: 32, 16 and 8 channels fill neither the registers nor the matrix units
of a processor, and each layer's features of a whole tile go to memory and back. Here a strip of coarse rows goes
through all the layers before the next one; what the next one looks at again, two rows for each step, is kept, so that
nothing is computed twice. The last convolution has one output only, which wastes most of a register, and is computed in
ways of its own. Where a tile is cut off from its neighbours, each layer computes no more than the next one looks at.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Final

import torch
from torch import Tensor, nn

from ctloupe.enhance.network.fast_layers import FastConvolution, slope_of
from ctloupe.enhance.network.fast_step import PAIR, reordered, shuffle_onto
from ctloupe.enhance.network.last_in_blocks import BLOCK, BlockKernel, LastInBlocks
from ctloupe.enhance.network.last_in_runs import LastInRuns
from ctloupe.networks.blocks import SubPixelStep
from ctloupe.networks.compiled import to_one_channel, winograd
from ctloupe.networks.tile import PlacedLayer

STRIP_BYTES: Final = 16 << 20
"""Bytes of the largest features of a strip (`python benchmarks/tries.py`)."""


class FineStrips(PlacedLayer):
    """Sub-pixel steps and the convolution to one channel behind them, with a float32 result.

    Parameters
    ----------
    steps
        Sub-pixel steps whose normalisation is folded; at least one.
    last
        Convolution to one channel, with an odd kernel.
    dtype
        Type of the features between them.
    """

    def __init__(self, steps: Sequence[SubPixelStep], last: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.steps = nn.ModuleList(_of_step(step, dtype) for step in steps)
        self.blocks = BlockKernel(last, dtype)
        self.runs = to_one_channel.kernel_of(last.weight, last.bias) if dtype == torch.float32 else None

    @property
    def _borders(self) -> Borders:
        """Whether top, bottom, left and right are those of the image."""
        return (True,) * 4 if self.tile is None else self.tile.at_border

    @property
    def widest(self) -> int:
        """Numbers that a coarse pixel has at most in one layer."""
        return max(4**at * step.weight.shape[0] for at, step in enumerate(self._convolutions()))

    def _convolutions(self) -> list[FastConvolution]:
        return [step for step in self.steps if isinstance(step, FastConvolution)]

    def forward(self, features: Tensor) -> Tensor:
        """Map features ``(n, c, h, w)`` to the image ``(n, 1, s·h, s·w)``."""
        features = features.to(self.blocks.high.dtype)
        if not self._convolutions()[0].is_winograd(features):
            features = features.contiguous(memory_format=torch.channels_last)
        images = [self._image(one) for one in features.split(1)]
        return images[0] if len(images) == 1 else torch.cat(images)

    def _image(self, features: Tensor) -> Tensor:
        height, width = features.shape[-2:]
        first, *others = self._convolutions()
        scale = PAIR ** len(self.steps)
        out = torch.empty(scale * height, scale * width, device=features.device)
        runs = self.runs if out.device.type == "cpu" else None
        # Of cuts only what computes the last rows by runs knows; all others take them for borders.
        borders = (True,) * 4 if runs is None else self._borders
        halo, spares = _margins([first.padding, *(step.padding for step in others)], self.blocks.frame.padding)
        image: LastInBlocks | LastInRuns
        if runs is None:
            image = LastInBlocks(self.blocks, self._borders, out)
        else:
            inner = _within(out, [scale * halo * (not border) for border in borders])
            image = LastInRuns(runs, self.blocks.frame.reflects, borders, spares[-1], inner)
        grids = (_Grid(step, spare, borders) for step, spare in zip(others, spares[:-1], strict=True))
        stages: list[_Stage] = [*grids, image]
        begin, until = first.padding * (not borders[0]), height - first.padding * (not borders[1])
        rows = until - begin
        if features.device.type == "cpu":
            bytes_of_a_row = self.widest * width * features.element_size()
            # As high as each other: a last strip of few rows costs almost as much as a whole one.
            strips = -(-rows * bytes_of_a_row // STRIP_BYTES)
            rows = max(BLOCK, -(-rows // strips))
        for at in range(begin, until, rows):
            end = min(until, at + rows)
            is_last = end == until
            _lay(first, *first.seen(features, at, end), borders, stages[0], is_last)
            for grid, following in pairwise(stages):
                assert isinstance(grid, _Grid)
                _lay(grid.step, grid.seen(is_last), (0, 0), borders, following, is_last)
            image.fill(is_last)
        return out[None, None]


def _within(image: Tensor, margins: Sequence[int]) -> Tensor:
    """An image without margins at top, bottom, left and right, which become zeros."""
    (height, width), (top, bottom, left, right) = image.shape, margins
    for margin in (image[:top], image[height - bottom :], image[:, :left], image[:, width - right :]):
        margin.zero_()
    return image[top : height - bottom, left : width - right]


def _margins(steps: Sequence[int], last: int) -> tuple[int, list[int]]:
    """How far the last of several paddings see on the first grid, and what each grid behind it has more than is seen.

    Nobody looks at the pixels of the result that lie nearer to a cut, since tiles are cut between pixels of the first
    grid.
    """
    seen, spares = last, list[int]()
    for padding in reversed(steps):
        given = -(-seen // PAIR)
        spares.append(PAIR * given - seen)
        seen = given + padding
    return seen, spares[::-1]


def _lay(
    step: FastConvolution,
    image: Tensor,
    beyond: tuple[int, int],
    borders: Borders,
    following: _Stage,
    is_last: bool,
) -> None:
    """Convolve an image, with so many rows of zeros above and below, and lay the result where it is read next."""
    pad = step.padding
    columns = pad * borders[2], pad * borders[3]
    height, width = image.shape[2] + sum(beyond) - 2 * pad, image.shape[3] + sum(columns) - 2 * pad
    room = following.room(height, width, is_last)
    if step.is_winograd(image):
        padding = winograd.Padding(beyond, columns)
        step.by_winograd(image, padding, out=_as_image(room), shuffles=following.shuffles)
        return
    found = step.within(image, beyond[0] > 0, beyond[1] > 0)
    found = found[..., pad - columns[0] : found.shape[3] - pad + columns[1]]
    if following.shuffles:
        shuffle_onto(found, room)
    else:
        room.copy_(found[0].permute(1, 2, 0))


class _Grid:
    """Rows of one grid that come strip by strip, and are convolved as soon as the rows around them are there.

    Parameters
    ----------
    step
        Its convolution, whose padding is by zeros.
    spare
        Rows and columns at each cut that it does not look at.
    borders
        Whether top, bottom, left and right are borders of the image and no cuts.
    """

    shuffles: ClassVar[bool] = True
    """Whether what it is given are sub-pixels."""

    def __init__(self, step: FastConvolution, spare: int, borders: Borders) -> None:
        self.step = step
        self.rows: Tensor | None = None
        """What the convolution sees, with the rows that it sees again and the zeros above and below the grid."""
        self._begin, self._end, self._left, self._right = (spare * (not border) for border in borders)
        self._above, self._below = (step.padding * border for border in borders[:2])

    def room(self, height: int, width: int, is_last: bool) -> Tensor:
        """Rows ``(2h, 2w, c)`` for the sub-pixels of those of the grid before, behind those that are kept."""
        pad, channels = self.step.padding, self.step.weight.shape[1]
        held = self.step.weight.new_zeros(self._above, PAIR * width, channels)
        if self.rows is not None:
            held = self.rows[-2 * pad :]
        begin, end = len(held), len(held) + PAIR * height
        self.rows = held.new_empty(end + self._below * is_last, PAIR * width, channels)
        self.rows[:begin] = held
        self.rows[end:] = 0
        return self.rows[begin:end]

    def seen(self, is_last: bool) -> Tensor:
        """What the convolution looks at of the rows that are there now, ``(1, c, h, w)``."""
        assert self.rows is not None
        self.rows = self.rows[self._begin : len(self.rows) - self._end * is_last]
        self._begin = 0
        return _as_image(self.rows[:, self._left : self.rows.shape[1] - self._right])


_Stage = _Grid | LastInBlocks | LastInRuns
Borders = tuple[bool, bool, bool, bool]


def _as_image(rows: Tensor) -> Tensor:
    """``(r, w, c)`` as ``(1, c, r, w)``, stored as it is."""
    return rows.permute(2, 0, 1)[None]


def _of_step(step: SubPixelStep, dtype: torch.dtype) -> FastConvolution:
    """The convolution of a step with its activation, where it is the same before the shuffle."""
    slope = slope_of(step.activation)
    assert slope is not None
    return reordered(step.convolution, slope, dtype)
