"""Going through a volume a few slices at a time, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLAB_BYTES = 1 << 24
"""Size of a slab in bytes; a single slice may be larger."""


def slabs_of(data: Any, dtype: np.dtype[Any] | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield contiguous slabs of whole slices in native byte order, each with the index of its first slice.

    Parameters
    ----------
    data : array of shape (z, y, x)
        NumPy array or `LazyArray`; each slice is asked for once.
    dtype
        Type to yield; without it, the type of `data`.
    """
    depth, height, width = data.shape
    kind = np.dtype(data.dtype if dtype is None else dtype).newbyteorder("=")
    step = max(1, SLAB_BYTES // (height * width * kind.itemsize))
    for start in range(0, depth, step):
        yield start, np.ascontiguousarray(data[start : start + step], dtype=kind)


def extremes_of(data: Any) -> tuple[float, float]:
    """Return the smallest and the largest finite value; infinity and its negative where there is none.

    Parameters
    ----------
    data : array of shape (z, y, x)
        NumPy array or `LazyArray`; each slice is asked for once.
    """
    low, high = np.inf, -np.inf
    for _, slab in slabs_of(data):
        values = slab[np.isfinite(slab)] if np.issubdtype(slab.dtype, np.floating) else slab
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return low, high
