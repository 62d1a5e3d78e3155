"""The values of a scan that the enhanced volume cannot hold."""

from __future__ import annotations

import numpy as np

from ctloupe.volume.volume import Volume

_HELD = np.iinfo(np.int16)


def values_beyond(scan: Volume) -> tuple[str, ...]:
    """Return what to say of values that the int16 of the enhanced volume cannot hold; a type that fits is not read.

    Raises
    ------
    IntensityError
        If a voxel that is read on demand is NaN or infinite.
    """
    if np.can_cast(scan.data.dtype, np.int16):
        return ()
    low, high = scan.extremes
    if _HELD.min <= low and high <= _HELD.max:
        return ()
    return (
        f"values from {low:g} to {high:g}, which are hardly HU; the result holds {_HELD.min} to {_HELD.max}, and what "
        "lies beyond is cut off",
    )
