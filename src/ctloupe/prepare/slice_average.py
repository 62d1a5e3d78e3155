"""µCT averaged over the thickness of a clinical slice: what a clinical voxel sees, where a single plane is thinner."""

from __future__ import annotations

from typing import Any

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
        self._read: dict[int, NDArray[Any]] = {}

    def plane(self, z: int) -> NDArray[np.float32]:
        """Return the mean about slice `z`, ``(y, x)``; each slice counts with the share of it that lies in the slab."""
        return self.planes(z, (0,))[0]

    def planes(self, z: int, steps: tuple[int, ...]) -> list[NDArray[np.float32]]:
        """Return the means over slabs side by side.

        Parameters
        ----------
        z
            Slice in the middle of the slab of step 0.
        steps
            Which slabs, counted from that one. One whose middle lies outside the volume is taken to be like the nearest
            to it whose middle lies inside, as the last slice of a scan stands for the next.

        Returns
        -------
        list of arrays ``(y, x)``
        """
        last = self._volume.shape[0] - 1
        centres = []
        for step in steps:
            while not 0 <= z + 2 * self._half * step <= last:
                step -= int(np.sign(step))
            centres.append(z + 2 * self._half * step)
        first, end = (round(of(centres) + sign * self._half) for of, sign in ((min, -1), (max, 1)))
        for index in [one for one in self._read if not first <= one <= end]:
            del self._read[index]
        return [self._mean(centre) for centre in centres]

    def _mean(self, centre: float) -> NDArray[np.float32]:
        last = self._volume.shape[0] - 1
        first, end = max(0, round(centre - self._half)), min(last, round(centre + self._half))
        weights = {index: float(slab_share(index - centre, self._half)) for index in range(first, end + 1)}
        total = np.zeros(self._volume.shape[1:], np.float32)
        for index, weight in weights.items():
            if weight > 0:
                total += np.float32(weight) * self._slice(index).astype(np.float32)
        total /= np.float32(sum(weights.values()))
        return total

    def _slice(self, index: int) -> NDArray[Any]:
        if index not in self._read:
            self._read[index] = np.asarray(self._volume.data[index])
        return self._read[index]
