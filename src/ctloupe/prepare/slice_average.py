"""µCT averaged over the thickness of a clinical slice: what a clinical voxel sees, where a single plane is thinner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctloupe.scanner.slice_profile import slab_share
from ctloupe.volume.volume import Volume


class SlabMean:
    """The mean over a slab of a volume, computed where it is asked for: patches seldom cover a whole plane.

    Parameters
    ----------
    shares
        Share and slice of what lies in the slab.
    """

    def __init__(self, shares: Sequence[tuple[float, NDArray[Any]]]) -> None:
        self._shares = shares

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[np.float32]:
        parts = [(share, plane[key]) for share, plane in self._shares]
        total = np.zeros(parts[0][1].shape, np.float32)
        for share, part in parts:
            total += np.float32(share) * part.astype(np.float32)
        total /= np.float32(sum(share for share, _ in parts))
        return total


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
        return self.planes(z, (0,))[0][:, :]

    def planes(self, z: int, steps: tuple[int, ...]) -> list[SlabMean]:
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
        list of planes ``(y, x)``, each computed where it is sliced
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

    def _mean(self, centre: float) -> SlabMean:
        last = self._volume.shape[0] - 1
        first, end = max(0, round(centre - self._half)), min(last, round(centre + self._half))
        shares = {index: float(slab_share(index - centre, self._half)) for index in range(first, end + 1)}
        return SlabMean([(share, self._slice(index)) for index, share in shares.items() if share > 0])

    def _slice(self, index: int) -> NDArray[Any]:
        if index not in self._read:
            self._read[index] = np.asarray(self._volume.data[index])
        return self._read[index]
