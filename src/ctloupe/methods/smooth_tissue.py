"""Large smooth structures laid into µCT of foam, since patients have hearts, walls and vessels that specimens lack."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_POINTS = (2, 7)
"""Fewest and most points along a side of the random field whose levels are the borders."""


@dataclass(frozen=True)
class SmoothTissue:
    """Where in each patch smooth tissue lies, and its value.

    Attributes
    ----------
    share : (n, 1, h, w)
        Share of every pixel that is smooth tissue, 0 to 1; 0 everywhere in patches without.
    value : (n, 1, 1, 1)
        Its value, in [−1, 1].
    """

    share: Tensor
    value: Tensor

    @classmethod
    def draw(cls, like: Tensor, fraction: float) -> SmoothTissue:
        """Draw it for patches of the shape ``(n, 1, h, w)`` and device of `like`.

        Parameters
        ----------
        like
            Patches.
        fraction
            Share of the patches that get smooth tissue, 0 to 1. In half of these it fills one side of a level of a
            smooth random field, from nothing to everything; in the others the band between two levels, as a vessel.
        """
        count, device = len(like), like.device
        points = int(torch.randint(_POINTS[0], _POINTS[1] + 1, (), device="cpu"))
        field = torch.randn(count, 1, points, points, device=device)
        field = F.interpolate(field, like.shape[-2:], mode="bicubic", align_corners=True)
        level, width = torch.randn(2, count, 1, 1, 1, device=device)
        inside = torch.where(torch.rand_like(level) < 0.5, field - level, width.abs() / 2 - (field - level).abs())
        chosen = torch.rand_like(level) < fraction
        return cls(_antialiased(inside) * chosen, 2 * torch.rand_like(level) - 1)

    def laid_into(self, images: Tensor) -> Tensor:
        """Return images ``(n, c, h, w)`` with it."""
        return torch.lerp(images, self.value, self.share)


def _antialiased(inside: Tensor) -> Tensor:
    """Share of a pixel where a function is positive: it goes from 0 to 1 over a pixel."""
    down, across = torch.gradient(inside, dim=(-2, -1))
    return (inside / torch.hypot(down, across).clamp_min(1e-6) + 0.5).clamp(0, 1)
