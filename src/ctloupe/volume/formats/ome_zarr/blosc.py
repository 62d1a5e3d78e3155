"""Chunks compressed by Blosc, whose decoder reads on in whatever memory lies behind a chunk that was cut short."""

from __future__ import annotations

import struct
from typing import Any, Final

from numpy.typing import NDArray

_HEAD: Final = struct.Struct("<4BIII")
"""Versions, flags and width of an element; then bytes before compression, of a block, and after compression."""


def require_whole(values: NDArray[Any], key: str) -> None:
    """Raise `ValueError` where a chunk, given as bytes, is longer or shorter than it says."""
    told = _HEAD.unpack(values[: _HEAD.size].tobytes())[-1] if values.nbytes >= _HEAD.size else None
    if told != values.nbytes:
        raise ValueError(f"{key} holds {values.nbytes} bytes, expected {told}")


def is_outermost(array: Any) -> bool:
    """Whether Blosc is what the chunks of a Zarr array are compressed by last."""
    compressors = array.compressors
    return bool(compressors) and "blosc" in type(compressors[-1]).__name__.lower()
