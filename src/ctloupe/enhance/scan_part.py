"""The part of a scan that is enhanced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctloupe.enhance.region import Region
from ctloupe.foundation.errors import GeometryError, IntensityError
from ctloupe.volume.volume import Volume

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class ScanPart:
    """What is enhanced of a scan, and where in it.

    Attributes
    ----------
    scan
        The part, with its place in space.
    mask : bool, of the shape of `scan`
        Where to enhance; None: everywhere.
    first
        Index in the whole scan of the part's first slice.
    """

    scan: Volume
    mask: Mask | None
    first: int

    @classmethod
    def of(cls, scan: Volume, mask: Mask | None, region: Region | None) -> ScanPart:
        """Cut `region` out of a whole scan and its mask; None: all of it.

        Raises
        ------
        IntensityError
            If the scan is a µCT volume.
        GeometryError
            If the mask has another shape than the scan.
        """
        if scan.modality == "micro":
            raise IntensityError("the input is a µCT volume; enhance takes a clinical CT in HU")
        if mask is not None and mask.shape != scan.shape:
            raise GeometryError(f"the mask has shape {mask.shape}, the scan {scan.shape}; make it on the scan's grid")
        if region is None:
            return cls(scan, mask, 0)
        return cls(scan.crop(*region), None if mask is None else mask[region], region[0].start)

    def mask_of(self, z: int) -> Mask | None:
        """The mask of slice `z` of the part."""
        return None if self.mask is None else self.mask[z]
