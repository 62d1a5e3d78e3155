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
        Whether top, bottom, left and right are borders of the image.
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
        out: Tensor,
    ) -> None:
        self.kernel, self.padding, self.out = kernel, kernel.taps // 2, out
        self.reflected = tuple(reflects and one for one in borders)
        self.held: Tensor | None = None
        self.rows = to_one_channel.features_for(kernel, 0, 0)
        self.taken = 0
        self.done = 0

    def room(self, count: int, is_last: bool) -> Tensor:
        """Rows ``(2r, w, c)`` for the sub-pixels of `count` rows of the grid before, behind those that are kept."""
        pad, width = self.padding, self.out.shape[1]
        above, taken = pad if self.held is None else len(self.held), PAIR * count
        rows = to_one_channel.features_for(self.kernel, above + taken + pad * is_last, width + 2 * pad)
        rows[:above] = 0 if self.held is None else self.held
        rows[above + taken :] = 0
        rows[above:, :pad] = 0
        rows[above:, pad + width :] = 0
        self.rows, self.taken = rows, taken
        return rows[above : above + taken, pad : pad + width]

    def fill(self, is_last: bool) -> None:
        """Fill as much of the image as the features suffice for that lie in the room now."""
        rows, pad, width = self.rows, self.padding, self.out.shape[1]
        top, bottom, left, right = self.reflected
        above = pad if self.held is None else len(self.held)
        for away in range(1, pad + 1):
            if left:
                rows[above:, pad - away] = rows[above:, pad + away]
            if right:
                rows[above:, pad + width - 1 + away] = rows[above:, pad + width - 1 - away]
        for away in range(1, pad + 1):
            if top and self.held is None:
                rows[above - away] = rows[above + away]
            if bottom and is_last:
                last = above + self.taken - 1
                rows[last + away] = rows[last - away]
        made = max(0, len(rows) - 2 * pad)
        if made:
            to_one_channel.convolve(rows, self.kernel, self.out[self.done : self.done + made])
        self.held = rows[made:]
        self.done += made
