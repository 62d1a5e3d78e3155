"""One slice of an array as the file that zarr would write of it, made chunk by chunk.

zarr holds all chunks of a shard three times before it writes them, each in memory that is touched for the first time,
and takes twice the CPU time of compressing alone. Beside a network on the same cores that is time of the network.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

import numpy as np
import zarr
from numcodecs import Blosc
from numcodecs.checksum32 import CRC32C
from numpy.typing import NDArray

from ctloupe.foundation.beside import cores, each_beside

_CODECS: Final = ["bytes", "blosc", "crc32c"]
_OF_INDEX: Final = ["bytes", "crc32c"]

_SHUFFLES: Final = {"noshuffle": Blosc.NOSHUFFLE, "shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}

_CHECKED: Final = CRC32C(location="end")

_PLACE: Final = struct.Struct("<QQ")
"""Entry of a shard's index: where a chunk begins in the file, and its number of bytes."""


@dataclass(frozen=True)
class SliceFiles:
    """How the slices of an array ``(z, y, x)`` become files, each one shard, or one chunk where that is all of it.

    Attributes
    ----------
    chunk : (y, x)
        Shape of a chunk.
    grid : (y, x)
        Number of chunks along each axis.
    sharded
        Whether a file holds an index of its chunks, as one of several does.
    dtype
        Type of the array, little-endian.
    fill_value
        What a chunk that reaches beyond the array holds there.
    compressor
        What each chunk is compressed with, before its checksum.
    """

    chunk: tuple[int, int]
    grid: tuple[int, int]
    sharded: bool
    dtype: np.dtype[Any]
    fill_value: Any
    compressor: Blosc

    @classmethod
    def of(cls, array: Any) -> Self | None:
        """Return how the slices of a Zarr array become files; None where only zarr knows."""
        described = [one.to_dict() for one in array.metadata.codecs]
        sharded = described[0]["name"] == "sharding_indexed"
        inner = described[0]["configuration"] if sharded else {"codecs": described}
        if sharded and (inner["index_location"] != "end" or _names(inner["index_codecs"]) != _OF_INDEX):
            return None
        endian = inner["codecs"][0].get("configuration", {}).get("endian", "little")
        if _names(inner["codecs"]) != _CODECS or endian != "little" or array.dtype.byteorder == ">":
            return None
        blosc = inner["codecs"][1]["configuration"]
        compressor = Blosc(blosc["cname"], blosc["clevel"], _SHUFFLES[blosc["shuffle"]], blosc["blocksize"])
        depth, *chunk = array.chunks
        whole = array.shards or array.chunks
        if depth != 1 or whole[0] != 1 or any(-(-n // m) != 1 for n, m in zip(array.shape[1:], whole[1:], strict=True)):
            return None
        grid = whole[1] // chunk[0], whole[2] // chunk[1]
        return cls((chunk[0], chunk[1]), grid, sharded, array.dtype, array.fill_value, compressor)

    def write(self, file: Path, plane: NDArray[Any]) -> None:
        """Write a slice ``(y, x)``; the file has its name only when it is whole.

        Raises
        ------
        OSError
            If the disk refuses it.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{uuid4().hex}.partial")
        try:
            with unfinished.open("wb") as out:
                for piece in self._pieces(plane):
                    out.write(piece)
            unfinished.replace(file)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

    def _pieces(self, plane: NDArray[Any]) -> Iterator[Any]:
        """What stands in the file, one after the other: chunks, and the index of them where it has one."""
        index, begun = bytearray(_PLACE.size * self.grid[0] * self.grid[1]), 0
        order = _along_a_z(self.grid)
        threads = min(len(order), zarr.config.get("threading.max_workers") or max(1, cores() // 2))
        work = partial(self._compressed, plane)
        pieces = map(work, order) if threads == 1 else each_beside(work, order, threads)
        for (row, column), piece in zip(order, pieces, strict=True):
            _PLACE.pack_into(index, _PLACE.size * (row * self.grid[1] + column), begun, len(piece))
            begun += len(piece)
            yield piece
        if self.sharded:
            yield _CHECKED.encode(index)

    def _compressed(self, plane: NDArray[Any], at: tuple[int, int]) -> Any:
        """Bytes of the chunk in a row and column of the grid."""
        (row, column), (height, width) = at, self.chunk
        chunk = np.ascontiguousarray(plane[row * height : (row + 1) * height, column * width : (column + 1) * width])
        if chunk.shape != self.chunk:
            part, chunk = chunk, np.full(self.chunk, self.fill_value, self.dtype)
            chunk[: part.shape[0], : part.shape[1]] = part
        return _CHECKED.encode(self.compressor.encode(chunk))


def _names(codecs: Any) -> list[str]:
    return [one["name"] for one in codecs]


def _along_a_z(grid: tuple[int, int]) -> list[tuple[int, int]]:
    """Rows and columns of a grid in the order of Morton, in which zarr lays the chunks of a shard."""

    def place(at: tuple[int, int]) -> int:
        return sum(((at[axis] >> bit) & 1) << (2 * bit + axis) for bit in range(max(grid)) for axis in (0, 1))

    return sorted(np.ndindex(*grid), key=place)
