"""The stores that one enhancement fills, and marks by which their slices are known again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np

from ctloupe.enhance.slice_enhancer import EnhancedSlice
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.location import Location, Remote
from ctloupe.volume.formats.ome_zarr.writer import OmeZarrWriter
from ctloupe.volume.volume import Volume

SUFFIX: Final = ".ome.zarr"

Mark = tuple[int, int]
"""Number of bytes of some files, and the CRC-32 of their names and contents: it tells damage, not malice.

On a server the mark that it gives a content itself (ETag) stands for the content, which need not travel back for it.
"""


@dataclass(frozen=True)
class Stores:
    """The stores that one enhancement fills: the volume, ``values``, and by name the maps beside it.

    Attributes
    ----------
    all
        What writes each store.
    """

    all: dict[str, OmeZarrWriter]

    @classmethod
    def create(cls, folder: Location, described: Volume, levels: int, beside: dict[str, Volume]) -> Stores:
        """Make empty stores in `folder`, for the grids of (lazy) volumes."""
        made = {"values": OmeZarrWriter.like(described, folder / f"values{SUFFIX}", np.int16, levels)}
        for name, one in beside.items():
            made[name] = OmeZarrWriter.like(one, folder / f"{name}{SUFFIX}", np.float32, levels)
        return cls(made)

    @classmethod
    def reopen(
        cls, folder: Location, names: Iterable[str] | None = None, placed: Mapping[str, Location] | None = None
    ) -> Stores:
        """Open those that `create` made.

        Parameters
        ----------
        folder
            Where they were made.
        names
            Which ones; None for all that are there.
        placed
            Where those are that have left `folder` already, by name.

        Raises
        ------
        FileError
            If one is not there or damaged.
        """
        if names is None:
            names = _names_in(folder)
        found = {}
        for name in names:
            path = folder / f"{name}{SUFFIX}"
            elsewhere = (placed or {}).get(name, path)
            # On a server the stores leave the folder together, after all of them have their names.
            if not isinstance(path, Remote) and elsewhere.exists() and not path.exists():
                path = elsewhere
            try:
                found[name] = OmeZarrWriter.reopen(path)
            except FileError as error:
                raise FileError(
                    f"{path}: the unfinished store is gone or damaged; start over without `resume`"
                ) from error
        return cls(found)

    def write(self, z: int, made: EnhancedSlice) -> dict[str, Mark]:
        """Write slice `z` to the disk, through its caches; return its mark in each store."""
        marks = {}
        for name, store in self.all.items():
            store.write(z, (made.values if name == "values" else made.beside[name])[None])
            _flush(store.files(z))
            marks[name] = _mark(store.path, store.files(z))
        return marks

    def marks(self, z: int) -> dict[str, Mark]:
        """Mark of slice `z` in each store, by what is on the disk now, or was on the server when it was first asked."""
        return {name: _mark(store.path, store.files(z), self._listed) for name, store in self.all.items()}

    @cached_property
    def _listed(self) -> dict[Remote, tuple[int, str]]:
        """What a server holds of the stores: a list of thousands takes no longer than to ask for one."""
        remote = [store.path for store in self.all.values() if isinstance(store.path, Remote)]
        return {place: found for path in remote for place, found in path.inside()}

    def descriptions(self) -> dict[str, Mark]:
        """Mark of what describes each store: the metadata of its group and its levels."""
        return {name: _mark(store.path, store.metadata_files()) for name, store in self.all.items()}

    def require_inside(self, folder: Location) -> None:
        """Refuse to write to a store that has its final name already.

        Raises
        ------
        FileError
            If one is not in `folder`.
        """
        for store in self.all.values():
            if store.path.parent != folder:
                raise FileError(
                    f"{store.path}: was finished and placed, but other slices of the same work are gone since; start "
                    "over without `resume`"
                )

    def clear(self, z: int) -> None:
        """Remove slice `z`, so that it is written anew and not into what is left of it."""
        for store in self.all.values():
            for file in store.files(z):
                file.unlink()


def _names_in(folder: Location) -> list[str]:
    """Names of the stores in a folder."""
    if isinstance(folder, Remote):
        depth = folder.key.count("/") + 1
        found = {one.key.split("/")[depth] for one, _ in folder.inside()}
        return sorted(one.removesuffix(SUFFIX) for one in found if one.endswith(SUFFIX))
    return sorted(store.name.removesuffix(SUFFIX) for store in folder.glob(f"*{SUFFIX}"))


def _flush(files: Iterable[Location]) -> None:
    """Let files reach the disk through its caches; an object is there when its server has answered."""
    for file in files:
        if not isinstance(file, Remote):
            handle = os.open(file, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _name_in(root: Location, file: Location) -> str:
    if isinstance(file, Path) and isinstance(root, Path):
        return file.relative_to(root).as_posix()
    return str(file).removeprefix(f"{root}/")


def _mark(root: Location, files: Iterable[Location], listed: Mapping[Remote, tuple[int, str]] | None = None) -> Mark:
    """Mark of files that lie inside `root`; of objects by a list of them, where there is one."""
    checksum = total = 0
    for file in files:
        if isinstance(file, Remote):
            size, tag = (file.stamp() if listed is None else listed.get(file)) or (0, "absent")
            checksum = crc32(f"{_name_in(root, file)} {size} {tag} ".encode(), checksum)
            total += size
            continue
        try:
            content = file.read_bytes()
        except OSError as error:
            raise FileError(f"{file}: cannot be read ({error.strerror})") from error
        checksum = crc32(content, crc32(f"{_name_in(root, file)} {len(content)} ".encode(), checksum))
        total += len(content)
    return total, checksum
