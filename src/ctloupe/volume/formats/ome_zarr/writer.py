"""Writing OME-Zarr, the format that whole enhanced volumes are streamed to.

NGFF has scale and translation but no direction, so the exact 4×4 matrix stands beside it in an attribute of
our own. Every slice is one shard: two writers inside a shard corrupt it silently, and a slice is the least
that any writer here owns.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.location import Location, Remote, location
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.volume import geometry
from ctloupe.volume.formats.ome_zarr.metadata import attributes_of
from ctloupe.volume.formats.ome_zarr.reader import DAMAGE, EVERY_CHUNK, first_line, plain_type
from ctloupe.volume.formats.ome_zarr.remote import store_at
from ctloupe.volume.formats.ome_zarr.shards import SliceFiles
from ctloupe.volume.slabs import slabs_of
from ctloupe.volume.volume import Modality, Units, Volume, require_finite

_TILE = 512

_BAND = 128
"""Rows that are halved together; an even number."""


class OmeZarrWriter:
    """Write a volume to a new OME-Zarr (NGFF 0.5, Zarr 3) store, a slab of whole slices at a time.

    The store holds array ``0`` and, made on the way, `levels` coarser ones that each halve y and x by the rounded
    mean of four. Chunks are 1×512×512 (clipped to the shape), all chunks of a slice lie in one shard, and each is
    compressed by blosc-zstd 1 with bitshuffle and carries a CRC-32C. Equal data and arguments give equal bytes,
    however the slices are divided into slabs. A slice that was never written is missing, and the store is refused when
    it is read. Several writers may fill different slices, never the same one.

    Parameters
    ----------
    path
        Folder to create, or place on a server; it must not hold a store.
    shape, dtype
        Number of voxels (z, y, x), and an integer or floating type.
    spacing, origin, direction
        Place in space, as in `Volume`.
    attributes
        Further entries of the ``ctloupe`` attribute, plain data such as ``{"history": [...]}``.
    levels
        Number of coarser levels; y and x must be divisible by 2 that many times.

    Raises
    ------
    FileError
        If the folder cannot be created or already holds a store.
    GeometryError, IntensityError
        If shape, spacing, origin, direction or type cannot be held.
    """

    def __init__(
        self,
        path: Location,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any] | type | str,
        spacing: geometry.Triple,
        origin: geometry.Triple = (0.0, 0.0, 0.0),
        direction: geometry.Direction = geometry.IDENTITY,
        *,
        modality: Modality = "unknown",
        units: Units = "raw",
        attributes: dict[str, Any] | None = None,
        levels: int = 0,
    ) -> None:
        if shape[1] % (1 << levels) or shape[2] % (1 << levels):
            raise ValueError(f"{shape} cannot be halved {levels} times in y and x")
        self.path = location(path)
        self.shape = (int(shape[0]), int(shape[1]), int(shape[2]))
        self.dtype = plain_type(self.path, dtype)
        block = {
            "affine_lps": geometry.affine_lps(spacing, origin, geometry.as_direction(direction)).tolist(),
            "modality": modality,
            "units": units,
            "history": [],
            **(attributes or {}),
            EVERY_CHUNK: True,
            "notice": RESEARCH_NOTICE,
        }
        places = [_level(level, spacing, origin) for level in range(levels + 1)]
        try:
            group = zarr.create_group(
                store_at(self.path),
                zarr_format=3,
                attributes={"ome": _ngff(places), "ctloupe": block},
            )
            self._arrays = [
                _create_level(
                    group,
                    str(level),
                    (self.shape[0], self.shape[1] >> level, self.shape[2] >> level),
                    self.dtype,
                )
                for level in range(levels + 1)
            ]
            self._files = [SliceFiles.of(array) for array in self._arrays]
        except (OSError, ValueError) as error:
            raise FileError(f"{self.path}: cannot be created ({first_line(error)}); name a new folder") from error

    @classmethod
    def like(cls, volume: Volume, path: Location, dtype: Any, levels: int = 0) -> OmeZarrWriter:
        """Make an empty store at `path` for the grid, units and history of `volume`."""
        return cls(
            path,
            volume.shape,
            dtype,
            volume.spacing,
            volume.origin,
            volume.direction,
            modality=volume.modality,
            units=volume.units,
            attributes={"history": list(volume.history)},
            levels=levels,
        )

    @classmethod
    def reopen(cls, path: Location) -> OmeZarrWriter:
        """Go on writing to the store that another writer made.

        Raises
        ------
        FileError
            If the store is not there or damaged.
        """
        writer = cls.__new__(cls)
        writer.path = location(path)
        try:
            datasets = attributes_of(writer.path)["ome"]["multiscales"][0]["datasets"]
            store = store_at(writer.path)
            writer._arrays = [zarr.open_array(store, path=str(one["path"]), mode="r+") for one in datasets]
        except DAMAGE as error:
            raise FileError(f"{path}: cannot be opened for writing ({first_line(error)})") from error
        writer._files = [SliceFiles.of(array) for array in writer._arrays]
        depth, height, width = writer._arrays[0].shape
        writer.shape, writer.dtype = (depth, height, width), np.dtype(writer._arrays[0].dtype)
        return writer

    def files(self, z: int) -> list[Location]:
        """Return the files that hold slice `z`, one a level; on a server also those that are not there."""
        names = [self.path / str(level) / "c" / str(z) / "0" / "0" for level in range(len(self._arrays))]
        return [name for name in names if isinstance(name, Remote) or name.is_file()]

    def metadata_files(self) -> list[Location]:
        """Return the files that describe the group and its levels."""
        folders = [self.path, *(self.path / str(level) for level in range(len(self._arrays)))]
        return [folder / "zarr.json" for folder in folders]

    def write(self, z0: int, slab: NDArray[Any]) -> None:
        """Write `slab` of shape (k, y, x) to the slices from `z0` on.

        Raises
        ------
        IntensityError
            If the slab holds NaN or infinity.
        FileError
            If the disk refuses it.
        """
        if slab.ndim != 3 or slab.shape[1:] != self.shape[1:] or not 0 <= z0 <= z0 + len(slab) <= self.shape[0]:
            raise ValueError(f"slab {slab.shape} at slice {z0} does not fit a volume of {self.shape}")
        if slab.dtype.newbyteorder("=") != self.dtype:
            raise ValueError(f"slab holds {slab.dtype}, the store {self.dtype}")
        require_finite(slab, str(self.path))
        try:
            for level in range(len(self._arrays)):
                slab = _halved(slab) if level else slab
                self._write_level(level, z0, slab)
        except OSError as error:
            raise FileError(f"{self.path}: cannot be written ({first_line(error)}); is the disk full?") from error

    def _write_level(self, level: int, z0: int, slab: NDArray[Any]) -> None:
        files = self._files[level]
        if files is None or isinstance(self.path, Remote):
            self._arrays[level][z0 : z0 + len(slab)] = slab
            return
        for z, plane in enumerate(slab, z0):
            files.write(self.path / str(level) / "c" / str(z) / "0" / "0", plane)

    def close(self) -> None:
        """End writing. Each slab is in its files when `write` returns, so a store left open is whole too."""
        self._arrays[0].store.close()

    def __enter__(self) -> OmeZarrWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _halved(slab: NDArray[Any]) -> NDArray[Any]:
    """Return the mean of every 2×2 pixels of ``(k, y, x)``; means of integers are rounded, halves up."""
    depth, height, width = slab.shape
    made = np.empty((depth, height // 2, width // 2), slab.dtype)
    for z in range(depth):
        # Sums of a few rows stay in the cache, and take half the time of those of a slice.
        for y in range(0, height, _BAND):
            rows = slab[z, y : y + _BAND]
            made[z, y // 2 : (y + len(rows)) // 2] = _mean_of_four(rows[::2], rows[1::2])
    return made


def _mean_of_four(even: NDArray[Any], odd: NDArray[Any]) -> NDArray[Any]:
    if even.dtype.kind == "f":
        return 0.25 * (_pairs(even) + _pairs(odd))
    wide = np.int64 if even.dtype.itemsize > 2 else np.int32
    return (_pairs(np.add(even, odd, dtype=wide)) + 2) >> 2


def _pairs(rows: NDArray[Any]) -> NDArray[Any]:
    total: NDArray[Any] = rows[..., ::2] + rows[..., 1::2]
    return total


def write_ome_zarr(volume: Volume, path: Location) -> None:
    """Write `volume` to a new OME-Zarr store at `path`, slab by slab, with direction; see `OmeZarrWriter`."""
    with OmeZarrWriter.like(volume, path, volume.data.dtype) as writer:
        for z0, slab in slabs_of(volume.data):
            writer.write(z0, slab)


def _level(
    level: int, spacing: geometry.Triple, origin: geometry.Triple
) -> tuple[str, geometry.Triple, geometry.Triple]:
    """Return path, scale and translation of a level 2^level times coarser in y and x; NGFF knows no direction."""
    if level:
        spacing, origin = geometry.coarsened_grid(spacing, origin, geometry.IDENTITY, 1 << level)
    return str(level), spacing, (origin[2], origin[1], origin[0])


def _ngff(levels: Sequence[tuple[str, geometry.Triple, geometry.Triple]]) -> dict[str, Any]:
    """Return NGFF 0.5 metadata; `levels` are (path, scale zyx, translation zyx) in mm, finest first."""
    axes = [{"name": axis, "type": "space", "unit": "millimeter"} for axis in "zyx"]
    datasets = [
        {
            "path": path,
            "coordinateTransformations": [
                {"type": "scale", "scale": [float(value) for value in scale]},
                {"type": "translation", "translation": [float(value) for value in translation]},
            ],
        }
        for path, scale, translation in levels
    ]
    return {"version": "0.5", "multiscales": [{"name": "ct", "axes": axes, "datasets": datasets}]}


def _create_level(group: zarr.Group, name: str, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> zarr.Array[Any]:
    _, height, width = shape
    chunks = (1, min(_TILE, height), min(_TILE, width))
    shards = (1, -(-height // chunks[1]) * chunks[1], -(-width // chunks[2]) * chunks[2])
    # A chunk is one block to Blosc: compressed by 3% better than in the blocks that it would choose, level 1 takes half
    # the time of level 3.
    block = chunks[1] * chunks[2] * dtype.itemsize
    blosc = BloscCodec(typesize=dtype.itemsize, cname="zstd", clevel=1, shuffle="bitshuffle", blocksize=block)
    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        shards=None if shards == chunks else shards,
        dtype=dtype,
        # Blosc reads a damaged chunk as noise without complaint, so each chunk carries its checksum.
        compressors=[blosc, Crc32cCodec()],
        fill_value=dtype.type(0),
        dimension_names=("z", "y", "x"),
        config={"write_empty_chunks": True},
    )
