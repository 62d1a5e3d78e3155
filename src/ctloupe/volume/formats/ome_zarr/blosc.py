"""Chunks compressed by Blosc, whose decoder reads on in whatever memory lies behind a chunk that was cut short."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray
from zarr.storage import LocalStore

from ctloupe.volume.formats.ome_zarr.codecs import METADATA

_HEAD: Final = struct.Struct("<4BIII")
"""Versions, flags and width of an element; then bytes before compression, of a block, and after compression."""


class BloscStore(LocalStore):
    """A folder with an array of such chunks; one that is not as long as it says is an error."""

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """Return the bytes of a file; see `zarr.storage.LocalStore`.

        Raises
        ------
        ValueError
            If a chunk is longer or shorter than it says.
        """
        found = await super().get(key, prototype, byte_range)
        if found is not None and byte_range is None and Path(key).name not in METADATA:
            require_whole(found.as_numpy_array(), key)
        return found


def require_whole(values: NDArray[Any], key: str) -> None:
    """Raise `ValueError` where a chunk, given as bytes, is longer or shorter than it says."""
    told = _HEAD.unpack(values[: _HEAD.size].tobytes())[-1] if values.nbytes >= _HEAD.size else None
    if told != values.nbytes:
        raise ValueError(f"{key} holds {values.nbytes} bytes, expected {told}")


def is_outermost(array: Any) -> bool:
    """Whether Blosc is what the chunks of a Zarr array are compressed by last."""
    compressors = array.compressors
    return bool(compressors) and "blosc" in type(compressors[-1]).__name__.lower()
