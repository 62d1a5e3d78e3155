"""The pixel shuffle that makes an image of features, by whole runs of pixels."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_RUNS: Final = {2: torch.float64, 4: torch.complex128}
"""Types that are as large as so many float32 numbers, and are copied as one."""


class FastShuffle(nn.Module):
    """Pixel shuffle; float32 features of one channel, stored channels last, are moved by rows of sub-pixels.

    PyTorch's moves them one by one.

    Parameters
    ----------
    step
        Enlargement.
    """

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, s²·c, h, w)`` to ``(n, c, s·h, s·w)``."""
        step, (count, channels, height, width) = self.step, features.shape
        run = _RUNS.get(step)
        is_stored_so = features.is_contiguous(memory_format=torch.channels_last) and features.dtype == torch.float32
        if run is None or channels != step**2 or not is_stored_so or features.device.type != "cpu":
            return F.pixel_shuffle(features, step)
        out = torch.empty(count, 1, step * height, step * width)
        # (image, row, sub-row, column), of runs that are the sub-pixels of a row.
        runs = features.permute(0, 2, 3, 1).reshape(-1).view(run).view(count, height, width, step)
        out.view(-1).view(run).view(count, height, step, width).copy_(runs.transpose(2, 3))
        return out
