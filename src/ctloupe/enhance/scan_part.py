"""The part of a scan that is enhanced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    around
        The slices of the whole scan just below and just above the part, in the same rows and columns; None where the
        scan ends.
    """

    scan: Volume
    mask: Mask | None
    first: int
    around: tuple[Volume | None, Volume | None] = (None, None)

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
        z, y, x = region
        first, end = z.start or 0, scan.shape[0] if z.stop is None else z.stop
        around = (
            scan.crop(slice(first - 1, first), y, x) if first > 0 else None,
            scan.crop(slice(end, end + 1), y, x) if end < scan.shape[0] else None,
        )
        return cls(scan.crop(*region), None if mask is None else mask[region], first, around)

    def mask_of(self, z: int) -> Mask | None:
        """The mask of slice `z` of the part."""
        return None if self.mask is None else self.mask[z]

    def in_memory(self) -> ScanPart:
        """The same with its voxels read, so that it can be sent to another machine."""

        def read(one: Volume) -> Volume:
            return one.with_data(np.asarray(one.data))

        below, above = (None if one is None else read(one) for one in self.around)
        mask = None if self.mask is None else np.asarray(self.mask)
        return ScanPart(read(self.scan), mask, self.first, (below, above))

    def planes(self, begin: int, end: int, beside: int) -> NDArray[Any]:
        """Read slices for a `SliceEnhancer` that looks at so many on either side, none or one.

        Parameters
        ----------
        begin, end
            Slices of the part, first and one past the last.
        beside
            Slices on either side.

        Returns
        -------
        array of shape (end − begin, h, w), or (end − begin, 3, h, w)
            Each slice, in the second case between its neighbours in the whole scan; at an end of it the nearest slice
            stands for the missing one.
        """
        if not beside:
            return np.asarray(self.scan.data[begin:end])
        low, high = max(0, begin - 1), min(self.scan.shape[0], end + 1)
        read = np.asarray(self.scan.data[low:high])
        below, above = self.around
        if begin == 0:
            read = np.concatenate([read[:1] if below is None else np.asarray(below.data), read])
        if end == self.scan.shape[0]:
            read = np.concatenate([read, read[-1:] if above is None else np.asarray(above.data)])
        return np.stack([read[:-2], read[1:-1], read[2:]], 1)
