"""Chunks of OME-Zarr stores on a disk, each looked at when it is read and not before.

A store of small chunks has millions of files, which nobody wants to wait for at every opening.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from zarr.storage import LocalStore

from ctloupe.foundation.errors import FileError
from ctloupe.volume.formats.ome_zarr.blosc import require_whole
from ctloupe.volume.formats.ome_zarr.chunks import require_inside
from ctloupe.volume.formats.ome_zarr.codecs import METADATA


class CheckedStore(LocalStore):
    """A folder with an array, read only, whose chunks are what they should be or an error.

    Parameters
    ----------
    root
        Folder of the array.
    within
        The store, which no link may lead out of.
    every_chunk
        Whether a chunk that is not there is an error.
    blosc
        Whether chunks are compressed by Blosc last, so that their length must be as they say.
    """

    def __init__(self, root: Path | str, *, within: Path, every_chunk: bool = False, blosc: bool = False) -> None:
        super().__init__(root, read_only=True)
        self._within, self._every_chunk, self._blosc = within, every_chunk, blosc

    def with_read_only(self, read_only: bool = False) -> CheckedStore:
        """Return the same store, which is read only whatever is asked for."""
        return CheckedStore(self.root, within=self._within, every_chunk=self._every_chunk, blosc=self._blosc)

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """Return the bytes of a file or a part of it; None where it is not there and need not be.

        Raises
        ------
        FileError
            If a chunk is missing that must be there, is empty, no regular file, or a link out of the store.
        ValueError
            If it is longer or shorter than it says.
        """
        if Path(key).name in METADATA:
            return await super().get(key, prototype, byte_range)
        if not self._is_there(Path(self.root) / key):
            return None
        found = await super().get(key, prototype, byte_range)
        if found is not None and byte_range is None and self._blosc:
            require_whole(found.as_numpy_array(), key)
        return found

    def _is_there(self, file: Path) -> bool:
        try:
            known = file.lstat()
            if stat.S_ISLNK(known.st_mode):
                require_inside(file, self._within)
                known = file.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            if self._every_chunk:
                raise FileError(f"{file}: is missing, a chunk of the store; copy or write the store again") from error
            return False
        if not stat.S_ISREG(known.st_mode):
            raise FileError(f"{file}: neither a file nor a folder, and no chunk; copy or write the store again")
        # An empty file would pass as a chunk that was never written.
        if known.st_size == 0:
            raise FileError(f"{file}: is empty; copy or write the store again")
        return True
