"""How far the posterior mean of a flow may be off, pixel by pixel, from the features that it is made of."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

import torch
from torch import Tensor, nn

from ctloupe.networks.blocks import convolution, full_precision

_SMALLEST, _LARGEST, _FIRST = math.log(1e-3), math.log(2.0), math.log(0.2)
"""Logarithms of the standard deviation in units of [−1, 1]: its limits, and what an untrained head says."""

_LEVELS_HELD: Final = (0.8, 0.95)
_SMALLEST_ERROR: Final = 1e-5

LEVELS: Final = 41
"""Values in [−1, 1] at which the spread of the prior is kept; between them it is interpolated."""

_FEWEST: Final = 1000
"""Pixels that a value needs for a spread of its own."""


class DeviationHead(nn.Module):
    """3×3, PReLU, 3×3 on the grid of twice the scan's resolution, and a pixel-shuffle: log σ of every fine pixel.

    Parameters
    ----------
    width
        Feature maps that the mean is made of on that grid.
    step
        Enlargement from that grid to the fine one.
    """

    def __init__(self, width: int, step: int) -> None:
        super().__init__()
        self.painting = nn.PixelShuffle(step)
        self.body = nn.Sequential(convolution(width, width, 3), nn.PReLU(), convolution(width, step**2, 3))
        last = self.body[-1]
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        nn.init.normal_(last.weight, 0.0, 1e-3)
        nn.init.constant_(last.bias, _FIRST)

    def forward(self, fine: Tensor) -> Tensor:
        """Map features ``(n, width, 2h, 2w)`` to log σ ``(n, 1, s·h, s·w)``, σ in units of [−1, 1]."""
        return full_precision(self.painting(self.body(fine))).clamp(_SMALLEST, _LARGEST)


def coverage_loss(log_deviation: Tensor, error: Tensor) -> Tensor:
    """Return a loss that is least where intervals of ±1.28 σ hold 80% of the errors and those of ±1.96 σ hold 95%.

    It is the sum of the pinball losses (Koenker and Bassett 1978, doi:10.2307/1913643) of both quantiles of log |e|,
    which are log σ + log 1.28 and log σ + log 1.96. Of Gaussian errors that σ is their standard deviation. Of errors of
    foam, which are not, the expectation of e² would make intervals that hold too many or too few.

    Parameters
    ----------
    log_deviation, error
        Log σ, and the errors, of one shape and unit.
    """
    size = error.abs().clamp_min(_SMALLEST_ERROR).log()
    terms = []
    for level in _LEVELS_HELD:
        above = size - log_deviation - math.log(NormalDist().inv_cdf((1 + level) / 2))
        terms.append(torch.maximum(level * above, (level - 1) * above).mean())
    return torch.stack(terms).sum()


@torch.no_grad()
def spread_by_value(value: Tensor, image: Tensor) -> Tensor:
    """Standard deviation of an image given the scan's value at its place, ``(LEVELS,)``.

    By the law of total variance no knowledge of more than that value can, on average, leave a larger one.

    Parameters
    ----------
    value
        Bicubic enlargement of the scan, in [−1, 1].
    image
        Fine image of the same shape and units.
    """
    index = _place(value).round().long().flatten()
    there = image.flatten().double()
    count, total, squares = (
        torch.zeros(LEVELS, dtype=torch.float64, device=there.device).index_add_(0, index, one)
        for one in (torch.ones_like(there), there, there.square())
    )
    mean = total / count.clamp_min(1)
    spread = (squares / count.clamp_min(1) - mean.square()).clamp_min(math.exp(2 * _SMALLEST)).sqrt()
    known = (count >= min(_FEWEST, int(count.max()))).nonzero().flatten()
    at = torch.arange(LEVELS, device=there.device)
    nearest = known[(at[:, None] - known[None]).abs().argmin(1)]
    return spread[nearest].float()


def share_left_open(log_deviation: Tensor, value: Tensor, prior: Tensor) -> Tensor:
    """Share in [0, 1] of the prior's standard deviation that the scan leaves open; 0: it determines the image.

    Parameters
    ----------
    log_deviation, value
        Log σ of the posterior, and the bicubic enlargement of the scan, of one shape.
    prior : (LEVELS,)
        See `spread_by_value`.
    """
    place = _place(value)
    below = place.floor().clamp_max(LEVELS - 2)
    index = below.long()
    spread = torch.lerp(prior[index], prior[index + 1], place - below)
    return (log_deviation.exp() / spread).clamp(0, 1)


def _place(value: Tensor) -> Tensor:
    return (value.clamp(-1, 1) + 1) * ((LEVELS - 1) / 2)
