"""OME-Zarr as a format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctloupe.foundation.location import Location, Remote
from ctloupe.volume.formats.base import Format
from ctloupe.volume.geometry import Triple
from ctloupe.volume.volume import Volume

_MARKERS = ("zarr.json", ".zattrs", ".zgroup")


class OmeZarr(Format):
    """OME-Zarr stores: read on demand, written slice by slice, and the one format whose writing can be resumed."""

    name = "ome-zarr"
    title = "OME-Zarr"
    suffixes = (".ome.zarr",)
    streams = True
    resumable = True
    is_folder = True

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the folder holds Zarr metadata, or is named ``.zarr``, so that their absence is reported."""
        return path.is_dir() and (path.suffix == ".zarr" or any((path / name).is_file() for name in _MARKERS))

    def read(self, path: Path, series: str | int | None = None, voxel_size: Triple | None = None) -> Volume:
        """Return the volume of the finest level, read on demand."""
        from ctloupe.volume.formats.ome_zarr.reader import read_ome_zarr

        return read_ome_zarr(path)

    def coarser(self, path: Path, volume: Volume) -> tuple[Volume, ...]:
        """The pyramid of the store."""
        from ctloupe.volume.formats.ome_zarr.reader import read_coarser

        return read_coarser(path, volume)

    def lacking(self, path: Location) -> tuple[str, ...]:
        """Chunks of the finest level that are not there."""
        from ctloupe.volume.formats.ome_zarr.reader import absent_in_words

        return absent_in_words(path)

    def recognises_remote(self, path: Remote) -> bool:
        """Whether the place holds the metadata of a Zarr group."""
        from ctloupe.volume.formats.ome_zarr.remote import is_store

        return is_store(path)

    def read_remote(self, path: Remote) -> Volume:
        """Return the volume of the finest level, read on demand."""
        from ctloupe.volume.formats.ome_zarr.reader import read_ome_zarr

        return read_ome_zarr(path)

    def coarser_remote(self, path: Remote, volume: Volume) -> tuple[Volume, ...]:
        """The pyramid of the store."""
        from ctloupe.volume.formats.ome_zarr.reader import read_coarser

        return read_coarser(path, volume)

    def write(self, volume: Volume, path: Path, source: Sequence[Path] = ()) -> None:
        """Write a new store slab by slab, without coarser levels."""
        from ctloupe.volume.formats.ome_zarr.writer import write_ome_zarr

        write_ome_zarr(volume, path)
