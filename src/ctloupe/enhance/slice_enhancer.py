"""What enhances one slice: the protocol that streaming and planning rely on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctloupe.enhance.tiling import Tiling


@dataclass(frozen=True)
class EnhancedSlice:
    """What is made of a slice.

    Attributes
    ----------
    values : int16 (s·h, s·w)
        The enhanced slice in HU.
    beside : float32 (s·h, s·w), by name
        Maps that were asked for, see `EnhanceOptions.beside`: ``deviation``, a standard deviation in HU, and
        ``invented``, the share of the prior's own that the scan leaves open.
    residual
        Sum of squares and sum of f↓(SR) − scan over the mask in HU, and the number of voxels.
    tiles, skipped
        How many tiles a slice has, and how many were outside the mask.
    """

    values: NDArray[np.int16]
    beside: dict[str, NDArray[np.float32]]
    residual: tuple[float, float, int]
    tiles: int
    skipped: int

    @classmethod
    def of(
        cls, plane: Tensor, beside: dict[str, Tensor], off: NDArray[np.float32], tiles: int, skipped: int
    ) -> EnhancedSlice:
        """Round a plane of HU, in place; `off` is f↓(SR) − scan at the voxels of the mask."""
        wide = off.astype(np.float64)
        residual = float(np.square(wide).sum()), float(wide.sum()), wide.size
        values = plane.round_().clamp_(-32768, 32767).to(torch.int16).numpy()
        return cls(values, {name: one.numpy() for name, one in beside.items()}, residual, tiles, skipped)

    @property
    def deviation(self) -> NDArray[np.float32] | None:
        """Standard deviation in HU; None where none was asked for."""
        return self.beside.get("deviation")


def channels_of(hu: NDArray[np.number]) -> Tensor:
    """Turn what `SliceEnhancer.enhance` is given into channels: the slice, and where they are there, below and above.

    Returns
    -------
    float32 Tensor ``(1, h, w)`` or ``(3, h, w)``
    """
    given = torch.from_numpy(np.ascontiguousarray(hu, dtype=np.float32))
    return given[None] if given.ndim == 2 else given[[1, 0, 2]]


class SliceEnhancer(Protocol):
    """A model prepared for one volume; it is given slices in any order."""

    @property
    def neighbours(self) -> int:
        """Slices on either side that it looks at."""

    @property
    def tiling(self) -> Tiling | None:
        """How slices are cut; None when they are not, and nothing is computed in parts."""

    @property
    def tile(self) -> tuple[int, int] | None:
        """Rows and columns of a tile on the scan's grid; None when a slice is computed whole."""

    def use(self, tiling: Tiling) -> None:
        """Cut slices as an earlier run did."""

    def footprint(self, shape: tuple[int, int]) -> float:
        """Bytes of features in work for a slice of `shape` on the scan's grid."""

    def enhance(self, hu: NDArray[np.number], mask: NDArray[np.bool_] | None, index: int) -> EnhancedSlice:
        """Enhance one slice.

        Parameters
        ----------
        hu : (h, w), or (3, h, w) where it looks at a slice on either side
            Clinical slice in HU, with that below before it and that above after it. A slice that comes alone stands for
            its neighbours.
        mask : bool (h, w)
            Where to use the network; None: everywhere.
        index
            Index of the slice in its volume, from which dropout masks are made.
        """
