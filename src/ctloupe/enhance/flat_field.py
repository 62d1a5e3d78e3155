"""The mesh that a network draws into flat images, found once and taken off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS: Final = 41
"""Values in [−1, 1] at which the mesh is found; between them it is interpolated."""

_TOGETHER: Final = 8
"""Values that the network is given at a time: larger images keep all cores busy."""


@dataclass(frozen=True)
class FlatField:
    """What a network adds to an image of one value, by that value and by the place within a voxel of the scan.

    Nothing but the network can have put it there, and where an image is nearly flat it is nearly the same. A detector
    is corrected likewise by its picture of nothing.

    Attributes
    ----------
    table : (LEVELS, s²)
        Difference to the mean over the places within a voxel.
    scale
        s.
    """

    table: Tensor
    scale: int

    @classmethod
    @torch.no_grad()
    def of(cls, network: nn.Module, scale: int, reach: int, device: torch.device) -> FlatField:
        """Find it.

        Parameters
        ----------
        network
            Maps ``(n, 1, h, w)`` in [−1, 1] to ``(n, 1, s·h, s·w)``; further channels are not looked at.
        scale
            In-plane enlargement s.
        reach
            Scan voxels on either side that an output depends on, beyond which no border is felt.
        device
            Where the network runs.
        """
        side = 2 * reach + 1
        middle = slice(reach * scale, (reach + 1) * scale)
        rows = []
        for levels in torch.linspace(-1, 1, LEVELS, device=device).split(_TOGETHER):
            flat = levels[:, None, None, None].expand(-1, 1, side, side).contiguous()
            made = network(flat)[:, :1, middle, middle].float().cpu()
            rows.append((made - made.mean((1, 2, 3), keepdim=True)).flatten(1))
        return cls(torch.cat(rows), scale)

    def mesh(self, image: Tensor) -> Tensor:
        """Return what the network is taken to have added to images in [−1, 1].

        Parameters
        ----------
        image : (..., h, w)

        Returns
        -------
        Tensor of shape (..., s·h, s·w)
        """
        by_place = self._by_place(image)
        last = by_place.ndim - 1  # Places counted from the end are lost where this is exported.
        # Whole rows of a voxel's places are moved.
        by_place = by_place.unflatten(last, (self.scale, self.scale)).transpose(last - 1, last)
        return by_place.flatten(last, last + 1).flatten(last - 2, last - 1)

    def take_off(self, plane: Tensor, image: Tensor, factor: float) -> None:
        """Take the mesh of an image in [−1, 1], times a factor, off what was made of it, in place.

        Parameters
        ----------
        plane : (s·h, s·w)
        image : (h, w)
        """
        added = self._by_place(image).mul_(factor).unflatten(2, (self.scale, self.scale))
        plane.unflatten(1, (-1, self.scale)).unflatten(0, (-1, self.scale)).sub_(added.transpose(1, 2))

    def _by_place(self, image: Tensor) -> Tensor:
        """Mesh by voxel and place within it, ``(..., h, w, s²)``."""
        place = (image.clamp(-1, 1) + 1) * ((LEVELS - 1) / 2)
        below = place.floor().clamp_max(LEVELS - 2)
        share = (place - below)[..., None]
        index = below.long()
        # Whole rows of the table are fetched.
        return F.embedding(index, self.table).lerp_(F.embedding(index + 1, self.table), share)
