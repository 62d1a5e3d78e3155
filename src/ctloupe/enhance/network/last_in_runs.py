"""The last convolution of a network, to one channel, where it is compiled: on the fine grid itself, in float32."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ctloupe.enhance.network.fast_step import PAIR
from ctloupe.networks.compiled import to_one_channel


class LastInRuns:
    """Features on the fine grid, which come strip by strip, and the image that they become.

    Parameters
    ----------
    kernel
        What the convolution multiplies with.
    reflects
        Whether the features are reflected beyond the image; else there are zeros.
    borders
        Whether top, bottom, left and right are borders of the image; what lies beyond the others is given.
    spare
        Rows and columns that are given at each of these others, and are not looked at.
    out : (h, w)
        The image, which is filled from above.
    """

    shuffles: ClassVar[bool] = True
    """Whether what it is given are sub-pixels."""

    def __init__(
        self,
        kernel: to_one_channel.Kernel,
        reflects: bool,
        borders: tuple[bool, bool, bool, bool],
        spare: int,
        out: Tensor,
    ) -> None:
        self.kernel, self.padding, self.out = kernel, kernel.taps // 2, out
        self.reflected = tuple(reflects and one for one in borders)
        self._begin, self._end, self._left, _ = (spare * (not border) for border in borders)
        self._above, self._below, self._before, self._behind = (self.padding * border for border in borders)
        self.held: Tensor | None = None
        self.rows = to_one_channel.features_for(kernel, 0, 0)
        self.taken = 0
        self.done = 0

    def room(self, height: int, width: int, is_last: bool) -> Tensor:
        """Rows ``(2h, 2w, c)`` for the sub-pixels of those of the grid before, behind those that are kept."""
        above, taken = self._above if self.held is None else len(self.held), PAIR * height
        end = self._before + PAIR * width
        rows = to_one_channel.features_for(self.kernel, above + taken + self._below * is_last, end + self._behind)
        rows[:above] = 0 if self.held is None else self.held
        rows[above + taken :] = 0
        rows[above:, : self._before] = 0
        rows[above:, end:] = 0
        self.rows, self.taken = rows, taken
        return rows[above : above + taken, self._before : end]

    def fill(self, is_last: bool) -> None:
        """Fill as much of the image as the features suffice for that lie in the room now."""
        self._reflect(is_last)
        rows = self.rows[self._begin : len(self.rows) - self._end * is_last]
        self._begin = 0
        made = max(0, len(rows) - 2 * self.padding)
        if made:
            to_one_channel.convolve(rows[:, self._left :], self.kernel, self.out[self.done : self.done + made])
        self.held = rows[made:]
        self.done += made

    def _reflect(self, is_last: bool) -> None:
        rows, pad = self.rows, self.padding
        top, bottom, left, right = self.reflected
        above, end = self._above if self.held is None else len(self.held), rows.shape[1] - pad
        for away in range(1, pad + 1):
            if left:
                rows[above:, pad - away] = rows[above:, pad + away]
            if right:
                rows[above:, end - 1 + away] = rows[above:, end - 1 - away]
        for away in range(1, pad + 1):
            if top and self.held is None:
                rows[above - away] = rows[above + away]
            if bottom and is_last:
                last = above + self.taken - 1
                rows[last + away] = rows[last - away]
