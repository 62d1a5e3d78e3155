"""Voxel types that every format and every common tool share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import IntensityError
from ctloupe.volume.slabs import slabs_of
from ctloupe.volume.volume import LazyArray

_CHANGED: Final[dict[str, type[np.generic]]] = {
    "bool": np.uint8,
    "float16": np.float32,
    "float64": np.float32,
    "int64": np.int32,
    "uint64": np.int32,
}


def storable(data: Any, path: Path) -> Any:
    """Return `data`, or a lazily converted form of it where its type is one that formats or tools do not share.

    Parameters
    ----------
    data : array of shape (z, y, x)
        NumPy array or `LazyArray`.
    path
        Output, for messages.

    Raises
    ------
    IntensityError
        If the voxels are not real numbers, or 64-bit integers do not fit 32 bits.
    """
    stored = np.dtype(data.dtype)
    if stored.kind not in "biuf":
        raise IntensityError(f"{path}: {stored} voxels cannot be written; convert to int16 or float32 first")
    if stored.name not in _CHANGED and stored.isnative:
        return data
    target = np.dtype(_CHANGED.get(stored.name, stored.newbyteorder("=")))
    if stored.kind in "iu" and stored.itemsize > target.itemsize:
        _require_range(data, target, path)

    def convert(block: tuple[slice, slice, slice]) -> NDArray[Any]:
        # What overflows becomes infinite, and is refused as such by `LazyArray`.
        with np.errstate(over="ignore"):
            return np.asarray(data[block]).astype(target)

    return LazyArray(tuple(data.shape), target, convert, str(path))


def _require_range(data: Any, target: np.dtype[Any], path: Path) -> None:
    room = np.iinfo(target)
    for _, slab in slabs_of(data):
        low, high = int(slab.min()), int(slab.max())
        if low < room.min or high > room.max:
            raise IntensityError(
                f"{path}: {data.dtype} values from {low} to {high} do not fit {target}; rescale them first"
            )
