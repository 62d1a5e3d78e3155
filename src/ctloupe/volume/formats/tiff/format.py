"""TIFF as a format."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ctloupe.volume.formats.base import Format
from ctloupe.volume.geometry import Triple
from ctloupe.volume.volume import Volume

# The library logs each oddity to standard error; what matters of it is checked when reading and raised.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class Tiff(Format):
    """TIFF and BigTIFF stacks; OME-TIFF is written. TIFF has no place for a direction."""

    name = "tiff"
    title = "TIFF"
    suffixes = (".tif", ".tiff", ".ome.tif", ".ome.tiff")
    takes = frozenset({"voxel_size"})
    streams = True
    holds_direction = False
    holds_slices = True

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the file begins with the mark of TIFF or BigTIFF in either byte order."""
        return head.startswith(_MAGIC)

    def decodes_natively(self, path: Path) -> bool:
        """Whether the pages of the file, or of the first one of a folder, are compressed."""
        from ctloupe.volume.formats.tiff.reader import is_compressed

        return is_compressed(path)

    def read(self, path: Path, series: str | int | None = None, voxel_size: Triple | None = None) -> Volume:
        """Return the volume of a multi-page file, or of a folder of single-page ones, read on demand."""
        from ctloupe.volume.formats.tiff.reader import read_tiff

        return read_tiff(path, voxel_size)

    def write(self, volume: Volume, path: Path, source: Sequence[Path] = ()) -> None:
        """Write OME-TIFF page by page."""
        from ctloupe.volume.formats.tiff.writer import write_tiff

        write_tiff(volume, path)
