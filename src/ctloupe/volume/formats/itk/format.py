"""MetaImage and NRRD as formats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ctloupe.volume.formats.base import Format
from ctloupe.volume.geometry import Triple
from ctloupe.volume.volume import Volume


class _Itk(Format):
    """What SimpleITK reads and writes, whole in memory."""

    def decodes_natively(self, path: Path) -> bool:
        """Return True: ITK parses and decodes every such file."""
        return True

    def parts(self, path: Path) -> tuple[Path, ...]:
        """Return the header, and the file beside it that it names."""
        from ctloupe.volume.formats.itk.headers import voxels_of

        return tuple(dict.fromkeys((path, voxels_of(path).file)))

    def read(self, path: Path, series: str | int | None = None, voxel_size: Triple | None = None) -> Volume:
        """Return the volume in memory, in millimetres whatever unit the file states."""
        from ctloupe.volume.formats.itk.reader import read_itk

        return read_itk(path)

    def write(self, volume: Volume, path: Path, source: Sequence[Path] = ()) -> None:
        """Write uncompressed, from memory."""
        from ctloupe.volume.formats.itk.writer import write_itk

        write_itk(volume, path)


class MetaImage(_Itk):
    """MetaImage: ``.mha``, or a header ``.mhd`` with its voxels in a ``.raw`` beside it."""

    name = "metaimage"
    title = "MetaImage"
    suffixes = (".mha", ".mhd")

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the text header has one of the keys that every MetaImage has."""
        return re.search(rb"(?m)^(ObjectType|NDims)[ \t]*=", head) is not None

    def files(self, path: Path) -> tuple[Path, ...]:
        """Return the voxels of ``.mhd`` first: a header must never name voxels that are not there."""
        return (path.with_suffix(".raw"), path) if path.suffix.lower() == ".mhd" else (path,)


class Nrrd(_Itk):
    """NRRD: ``.nrrd``, or a header ``.nhdr`` with its voxels beside it, which is only read."""

    name = "nrrd"
    title = "NRRD"
    suffixes = (".nrrd", ".nhdr")
    only_read = (".nhdr",)

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the file begins with NRRD's mark."""
        return head.startswith(b"NRRD")
