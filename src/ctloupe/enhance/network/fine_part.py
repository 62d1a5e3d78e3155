"""Sub-pixel steps and the last convolution, in strips of rows that stay in the cache all the way to the image.

On the fine grids features are narrow and many: 32, 16 and 8 channels fill neither the registers nor the matrix units
of a processor, and each layer's features of a whole tile go to memory and back. Here a strip of coarse rows goes
through all the layers before the next one; what the next one looks at again, two rows for each step, is kept, so that
nothing is computed twice. The last convolution has one output only, which wastes most of a register, and is computed in
ways of its own.
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
    def widest(self) -> int:
        """Numbers that a coarse pixel has at most in one layer."""
        return max(4**at * step.weight.shape[0] for at, step in enumerate(self._convolutions()))

    def _convolutions(self) -> list[FastConvolution]:
        return [step for step in self.steps if isinstance(step, FastConvolution)]

    def forward(self, features: Tensor) -> Tensor:
        """Map features ``(n, c, h, w)`` to the image ``(n, 1, s·h, s·w)``."""
        features = features.to(self.blocks.high.dtype).contiguous(memory_format=torch.channels_last)
        return torch.cat([self._image(features[at : at + 1]) for at in range(features.shape[0])])

    def _image(self, features: Tensor) -> Tensor:
        height, width = features.shape[-2:]
        first, *others = self._convolutions()
        scale = PAIR ** len(self.steps)
        out = torch.empty(scale * height, scale * width, device=features.device)
        grids = [_Grid(width * PAIR**at, step) for at, step in enumerate(others, 1)]
        image = self._last(out)
        rows = height
        if features.device.type == "cpu":
            bytes_of_a_row = self.widest * width * features.element_size()
            # As high as each other: a last strip of few rows costs almost as much as a whole one.
            strips = -(-height * bytes_of_a_row // STRIP_BYTES)
            rows = max(BLOCK, -(-height // strips))
        stages: list[_Stage] = [*grids, image]
        for begin in range(0, height, rows):
            end = min(height, begin + rows)
            is_last = end == height
            _lay(first, *first.seen(features, begin, end), stages[0], is_last)
            for grid, following in pairwise(stages):
                assert isinstance(grid, _Grid)
                _lay(grid.step, _as_image(grid.rows), (0, 0), following, is_last)
            image.fill(is_last)
        return out[None, None]

    def _last(self, out: Tensor) -> LastInBlocks | LastInRuns:
        borders = (True,) * 4 if self.tile is None else self.tile.at_border
        if self.runs is None or out.device.type != "cpu":
            return LastInBlocks(self.blocks, borders, out)
        return LastInRuns(self.runs, self.blocks.frame.reflects, borders, out)


def _lay(
    step: FastConvolution,
    image: Tensor,
    beyond: tuple[int, int],
    following: _Grid | LastInBlocks | LastInRuns,
    is_last: bool,
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
        shuffle_onto(found, room)
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
        begin, end = len(held), len(held) + PAIR * count
        self.rows = self.rows.new_empty(end + pad * is_last, *self.rows.shape[1:])
        self.rows[:begin] = held
        self.rows[end:] = 0
        return self.rows[begin:end]


_Stage = _Grid | LastInBlocks | LastInRuns


def _as_image(rows: Tensor) -> Tensor:
    """``(r, w, c)`` as ``(1, c, r, w)``, stored as it is."""
    return rows.permute(2, 0, 1)[None]


def _of_step(step: SubPixelStep, dtype: torch.dtype) -> FastConvolution:
    """The convolution of a step with its activation, where it is the same before the shuffle."""
    slope = slope_of(step.activation)
    assert slope is not None
    return reordered(step.convolution, slope, dtype)
