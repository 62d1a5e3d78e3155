"""µCT averaged over the thickness of a clinical slice: what a clinical voxel sees, where a single plane is thinner."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctloupe.scanner.slice_profile import slab_share
from ctloupe.volume.volume import Volume


class SliceAverages:
    """Means over a slab about the centre of each slice; neighbouring slabs share the slices they have read.

    Parameters
    ----------
    volume
        µCT that is read slice by slice.
    thickness_mm
        Thickness of the slab. Where it leaves the volume, the part inside counts.
    """

    def __init__(self, volume: Volume, thickness_mm: float) -> None:
        self._volume = volume
        self._half = thickness_mm / volume.spacing[0] / 2
        self._read: dict[int, NDArray[np.float32]] = {}

    def plane(self, z: int) -> NDArray[np.float32]:
        """Return the mean about slice `z`, ``(y, x)``; each slice counts with the share of it that lies in the slab."""
        last = self._volume.shape[0] - 1
        first, end = max(0, round(z - self._half)), min(last, round(z + self._half))
        weights = {index: self._share(index - z) for index in range(first, end + 1)}
        for index in [one for one in self._read if one not in weights]:
            del self._read[index]
        total = np.zeros(self._volume.shape[1:], np.float32)
        for index, weight in weights.items():
            if weight > 0:
                total += np.float32(weight) * self._slice(index)
        total /= np.float32(sum(weights.values()))
        return total

    def _share(self, offset: int) -> float:
        return float(slab_share(offset, self._half))

    def _slice(self, index: int) -> NDArray[np.float32]:
        if index not in self._read:
            self._read[index] = np.asarray(self._volume.data[index], dtype=np.float32)
        return self._read[index]
