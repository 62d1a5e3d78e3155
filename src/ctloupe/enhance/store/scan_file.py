"""A scan that the workers of a cluster read themselves, where they see the file as it is here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from ctloupe.enhance.region import Region
from ctloupe.enhance.scan_part import Mask, ScanPart
from ctloupe.foundation.errors import CtLoupeError
from ctloupe.foundation.location import Location, Remote
from ctloupe.foundation.memory import memory
from ctloupe.volume.formats import parts_read, read
from ctloupe.volume.formats.ome_zarr.codecs import METADATA
from ctloupe.volume.geometry import Triple
from ctloupe.volume.held import held
from ctloupe.volume.resampling import resample_in_plane
from ctloupe.volume.volume import Volume

_SHARE_OF_MEMORY = 8
"""A worker keeps at most this part of the free memory of decoded slices."""


@dataclass(frozen=True)
class ScanFile:
    """Where a scan was read from, and how.

    Attributes
    ----------
    path
        File or folder, absolute.
    series, voxel_size
        See `ctloupe.read`.
    spacing
        In-plane spacing (y, x) in mm that it was brought to; None: it stayed as it was.
    marks
        Digest of names, sizes and times of its files, by which another machine knows that it sees the same.
    """

    path: Location
    series: str | int | None
    voxel_size: Triple | None
    spacing: tuple[float, float] | None
    marks: str

    @classmethod
    def of(
        cls,
        path: Location,
        series: str | int | None = None,
        voxel_size: Triple | None = None,
        spacing: tuple[float, float] | None = None,
    ) -> ScanFile:
        """Note where a scan lies, and what its files look like now."""
        return cls(path.absolute(), series, voxel_size, spacing, _marks(path.absolute()))

    def is_seen(self) -> bool:
        """Whether this process sees the same files under the same name."""
        try:
            return _marks(self.path) == self.marks
        except (OSError, CtLoupeError):
            return False

    def read(self) -> Volume:
        """Return the scan as it was read first."""
        volume = read(self.path, series=self.series, voxel_size=self.voxel_size)
        if self.spacing is not None:
            return resample_in_plane(volume, self.spacing)
        return held(volume, memory().available // _SHARE_OF_MEMORY)


@dataclass(frozen=True)
class PartOfFile:
    """What is enhanced of a scan that a worker reads itself.

    Attributes
    ----------
    file
        The scan.
    region, mask
        The part of it, and the mask of that part.
    """

    file: ScanFile
    region: Region | None
    mask: Mask | None

    def read(self) -> ScanPart:
        """Return the part, with its voxels read on demand where the format allows it."""
        return replace(ScanPart.of(self.file.read(), None, self.region), mask=self.mask)


def _marks(path: Location) -> str:
    digest = hashlib.sha256()
    if isinstance(path, Remote):
        # An address is one place for all who reach it, and to list a store may take long: its metadata are enough.
        stamps = [(path / name).stamp() for name in METADATA]
        if not any(stamps):
            raise FileNotFoundError(path)
        return hashlib.sha256(repr(stamps).encode()).hexdigest()
    for part in (one for one in parts_read([path]) if isinstance(one, Path)):
        files = sorted(part.rglob("*")) if part.is_dir() else [part]
        for file in files:
            if file.is_dir():
                continue
            found = file.stat()
            # Whole seconds: not every shared file system keeps finer times.
            digest.update(f"{file.relative_to(part)} {found.st_size} {int(found.st_mtime)}\n".encode())
    return digest.hexdigest()
