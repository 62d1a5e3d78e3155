"""A volume that tells how many of its slices were read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctloupe.volume.volume import LazyArray, Volume


def watched(volume: Volume, tell: Callable[[int], None]) -> Volume:
    """Return the same volume, which calls `tell` with the number of slices whenever some are read."""

    def read(block: tuple[slice, slice, slice]) -> NDArray[Any]:
        values = np.asarray(volume.data[block])
        tell(block[0].stop - block[0].start)
        return values

    source = getattr(volume.data, "source", "volume")
    return volume.with_data(LazyArray(volume.shape, volume.data.dtype, read, source))
