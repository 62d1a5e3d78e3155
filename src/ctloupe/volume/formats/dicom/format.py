"""DICOM as a format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctloupe.volume.formats.base import Format
from ctloupe.volume.geometry import Triple
from ctloupe.volume.volume import Volume


class Dicom(Format):
    """CT series: a folder of files, or one file; a derived series is written as a folder named ``*.dicom``.

    Maps in floating point are written to folders named ``*.parametric-map.dicom``, and not read.
    """

    name = "dicom"
    title = "DICOM"
    suffixes = (".dcm", ".dicom")
    only_read = (".dcm",)
    takes = frozenset({"series", "source"})
    streams = True
    is_folder = True
    holds_slices = True
    searched_below = True

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the file has DICOM's mark behind its free preamble."""
        return head[128:132] == b"DICM"

    def decodes_natively(self, path: Path) -> bool:
        """Whether the pixels of the file, or of the first one of a folder, are compressed."""
        from ctloupe.volume.formats.dicom.headers import is_compressed

        return is_compressed(path)

    def read(self, path: Path, series: str | int | None = None, voxel_size: Triple | None = None) -> Volume:
        """Return the volume of one series, in memory, after every slice was checked."""
        from ctloupe.volume.formats.dicom.reader import read_dicom

        return read_dicom(path, series=series)

    def write(self, volume: Volume, path: Path, source: Sequence[Path] = ()) -> None:
        """Write a derived series, one file a slice, or a Parametric Map to a folder that is named so."""
        from ctloupe.volume.formats.dicom.parametric_map import is_named_as_map, write_parametric_map
        from ctloupe.volume.formats.dicom.writer import write_dicom

        (write_parametric_map if is_named_as_map(path) else write_dicom)(volume, path, source)

    def source_files(self, path: Path, series: str | int | None = None) -> list[Path]:
        """Files of the series, ordered as its slices."""
        from ctloupe.volume.formats.dicom.reader import source_series

        return source_series(path, series)
