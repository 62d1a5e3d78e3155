"""The values of a scan: what the enhanced volume can hold of them, and what an interpolation may not leave."""

from __future__ import annotations

import numpy as np

from ctloupe.volume.slabs import slabs_of
from ctloupe.volume.volume import Volume

_HELD = np.iinfo(np.int16)


def value_range(scan: Volume) -> tuple[float, float]:
    """Return the smallest and the largest value of a scan, which is read once.

    Raises
    ------
    IntensityError
        If a voxel that is read on demand is NaN or infinite.
    """
    low, high = np.inf, -np.inf
    for _, slab in slabs_of(scan.data):
        low, high = min(low, float(slab.min())), max(high, float(slab.max()))
    return low, high


def values_beyond(scan: Volume) -> tuple[str, ...]:
    """Return what to say of values that the int16 of the enhanced volume cannot hold; a type that fits is not read.

    Raises
    ------
    IntensityError
        If a voxel that is read on demand is NaN or infinite.
    """
    if np.can_cast(scan.data.dtype, np.int16):
        return ()
    low, high = value_range(scan)
    if _HELD.min <= low and high <= _HELD.max:
        return ()
    return (
        f"values from {low:g} to {high:g}, which are hardly HU; the result holds {_HELD.min} to {_HELD.max}, and what "
        "lies beyond is cut off",
    )
