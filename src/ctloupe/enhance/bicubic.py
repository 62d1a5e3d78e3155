"""Slices enlarged by bicubic interpolation, without a network."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctloupe.enhance.back_projection import difference, make_consistent
from ctloupe.enhance.slice_enhancer import EnhancedSlice
from ctloupe.enhance.tiling import Tiling
from ctloupe.networks.bicubic import enlarge_bicubic


def enlarged_within(scan: Tensor, scale: int, limits: tuple[float, float] | None) -> Tensor:
    """Return the bicubic enlargement of slices ``(n, 1, h, w)``, cut off at the range of their scan.

    Keys' cubic overshoots at edges: beside bone and skin by hundreds of HU, to values below those of air.
    """
    plane = enlarge_bicubic(scan, scale)
    return plane if limits is None else plane.clamp_(*limits)


class BicubicSliceEnhancer:
    """Enlarges slices; see `SliceEnhancer`.

    Parameters
    ----------
    scale
        In-plane enlargement.
    limits
        Smallest and largest value of the scan, which the interpolation stays within; None: it may overshoot.
    consistent
        Correct every slice so that its block means equal the scan inside the mask.
    """

    neighbours: int = 0
    tiling: Tiling | None = None
    tile: tuple[int, int] | None = None

    def __init__(self, scale: int, limits: tuple[float, float] | None = None, consistent: bool = False) -> None:
        self.scale, self.limits, self.consistent = scale, limits, consistent

    def use(self, tiling: Tiling) -> None:
        """Do nothing: slices are not cut."""

    def footprint(self, shape: tuple[int, int]) -> float:
        """No features are in work."""
        return 0.0

    @torch.inference_mode()
    def enhance(self, hu: NDArray[np.number], mask: NDArray[np.bool_] | None, index: int) -> EnhancedSlice:
        """Enlarge one slice; see `SliceEnhancer.enhance`."""
        scan = torch.from_numpy(np.ascontiguousarray(hu, dtype=np.float32))
        plane = enlarged_within(scan[None, None], self.scale, self.limits)[0, 0]
        inside = np.ones(scan.shape, bool) if mask is None else mask
        if self.consistent:
            make_consistent(plane, scan, inside, self.scale)
        return EnhancedSlice.of(plane, {}, difference(plane, scan, self.scale)[inside], 0, 0)
