"""NIfTI as a format."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

from ctloupe.volume.formats.base import Format
from ctloupe.volume.geometry import Triple
from ctloupe.volume.volume import Volume

_GZIP = b"\x1f\x8b"
_HEADER_SIZES = {348, 540}


class Nifti(Format):
    """Single-file NIfTI-1 and NIfTI-2; an uncompressed file is read on demand."""

    name = "nifti"
    title = "NIfTI"
    suffixes = (".nii", ".nii.gz")
    streams = True

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the file begins with the size of a NIfTI header, also under gzip."""
        if head.startswith(_GZIP):
            # Under its own name a compressed file is NIfTI, or a damaged one, which reading reports.
            return path.name.lower().endswith(".nii.gz") or _begins_as_nifti(_inflated(head))
        return _begins_as_nifti(head)

    def read(self, path: Path, series: str | int | None = None, voxel_size: Triple | None = None) -> Volume:
        """Return the volume in millimetres, whatever unit the file uses."""
        from ctloupe.volume.formats.nifti.reader import read_nifti

        return read_nifti(path)

    def write(self, volume: Volume, path: Path, source: Sequence[Path] = ()) -> None:
        """Write slab by slab, compressed under ``.nii.gz``."""
        from ctloupe.volume.formats.nifti.writer import write_nifti

        write_nifti(volume, path)


def _begins_as_nifti(head: bytes) -> bool:
    return bool(_HEADER_SIZES & {int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")})


def _inflated(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(47).decompress(head, 4)
    except zlib.error:
        return b""
