"""Volumes scaled each by its own minimum and maximum, as the code of JMI 2022 and ISBI 2021 scale them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.images.windows import IntensityWindow
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.volume import LazyArray, Volume

UNIT: Final = IntensityWindow(-1, 1)
"""Window of volumes that are scaled already."""


@dataclass
class OwnRanges:
    """Minimum and maximum of the volumes of a bank, in their order.

    Patches are cut from the scaled volumes, so that those of all volumes share one line to [−1, 1]. What the bank says
    in HU or raw units is then the mean of the ranges: values that volumes can be compared by, and no volume's own.
    """

    found: list[IntensityWindow] = field(default_factory=list)

    def scaled(self, volume: Volume, name: str) -> tuple[Volume, str]:
        """Map the range of a volume to [−1, 1], slice by slice when it is read, and say so in a line.

        Raises
        ------
        IntensityError
            If all its values are equal; names the volume.
        """
        window = IntensityWindow.from_extremes(volume, name)
        self.found.append(window)

        def read_block(block: tuple[slice, slice, slice]) -> NDArray[Any]:
            return window.to_unit(np.asarray(volume.data[block]))

        note = f"values scaled by their own range of {window.low:g} … {window.high:g}"
        return volume.with_data(LazyArray(volume.shape, np.float32, read_block, "scaled volume"), note), note

    def kept_by(self, bank: PatchBank) -> PatchBank:
        """Return a bank of the scaled volumes that keeps their ranges, and says values by the mean of them."""
        low, high = (float(end) for end in np.mean([(one.low, one.high) for one in self.found], axis=0))
        half = (high - low) / 2
        ranges = [{"range": [one.low, one.high]} for one in self.found]
        return replace(
            bank,
            window=IntensityWindow(low, high),
            slope=bank.slope * half,
            intercept=bank.intercept * half + (low + high) / 2,
            provenance=[one | own for one, own in zip(bank.provenance, ranges, strict=True)],
            scaling="min-max",
        )
