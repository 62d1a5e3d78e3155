"""OME-Zarr stores on servers: read chunk by chunk, published without renaming.

A store is whole when ``zarr.json`` of its group is there. An object store renames nothing, so a store is written under
another name first; then its objects are copied by the server, that one last.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from zarr.abc.store import Store
from zarr.storage import LocalStore, ObjectStore

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.location import Location, Remote
from ctloupe.foundation.object_store import answered, opened
from ctloupe.volume.formats.ome_zarr.blosc import require_whole
from ctloupe.volume.formats.ome_zarr.codecs import METADATA

MARKER: Final = "zarr.json"
"""Object of a store that is written last: with it the store is whole, without it nothing."""

_AT_ONCE: Final = 16
"""Requests to copy or remove that are under way together."""


class RemoteStore(ObjectStore[Any]):
    """A group or array on a server, whose refusals are one line each and quote nothing of what the server says.

    Parameters
    ----------
    store
        Store of obstore.
    read_only
        Whether nothing is written.
    where
        Address, for messages.
    every_chunk
        Whether a chunk that is not there is an error.
    blosc
        Whether chunks are compressed by Blosc last, so that their length must be as they say.
    """

    def __init__(
        self, store: Any, *, read_only: bool = False, where: str = "", every_chunk: bool = False, blosc: bool = False
    ) -> None:
        super().__init__(store, read_only=read_only)
        self._where = where
        self._every_chunk = every_chunk
        self._blosc = blosc

    def with_read_only(self, read_only: bool = False) -> RemoteStore:
        """Return the same store, read only or not."""
        return RemoteStore(
            self.store, read_only=read_only, where=self._where, every_chunk=self._every_chunk, blosc=self._blosc
        )

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """Return the bytes of an object or a part of it; None where it is not there and need not be.

        Raises
        ------
        FileError
            If the server refuses or does not answer, or a chunk is not there that must be.
        ValueError
            If a chunk is longer or shorter than it says.
        """
        with answered(f"{self._where}/{key}"):
            found = await super().get(key, prototype, byte_range)
        if Path(key).name in METADATA:
            return found
        if found is None and self._every_chunk:
            raise FileError(f"{self._where}/{key}: is missing, a chunk of the store; copy or write the store again")
        if found is not None and byte_range is None and self._blosc:
            require_whole(found.as_numpy_array(), key)
        return found

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        """Write an object that is not there; servers that know no condition for writing would write it again."""
        if not await self.exists(key):
            await self.set(key, value)

    async def exists(self, key: str) -> bool:
        """Whether an object is there."""
        with answered(f"{self._where}/{key}"):
            return await super().exists(key)

    async def set(self, key: str, value: Any) -> None:
        """Write an object, which appears whole.

        Raises
        ------
        FileError
            If the server refuses or does not answer.
        """
        with answered(f"{self._where}/{key}", "written"):
            await super().set(key, value)


def store_at(path: Location, read_only: bool = False, **checks: bool) -> Store:
    """Return the Zarr store in a local folder or on a server.

    Parameters
    ----------
    path
        Where a group or array lies.
    read_only
        Whether nothing is written.
    checks
        See `RemoteStore`; of no meaning on a disk.
    """
    if not isinstance(path, Remote):
        return LocalStore(path, read_only=read_only)
    return RemoteStore(opened(path.scheme, path.host, path.key), read_only=read_only, where=str(path), **checks)


def is_store(path: Remote) -> bool:
    """Whether a place holds the metadata of a Zarr group or array."""
    return any((path / name).is_file() for name in (MARKER, ".zattrs", ".zgroup"))


def is_whole(path: Location) -> bool:
    """Whether something has the name of a finished store: on a server its `MARKER`, on a disk anything."""
    return (path / MARKER).is_file() if isinstance(path, Remote) else path.exists()


def publish(made: Sequence[tuple[Remote, Remote]], overwrite: bool) -> None:
    """Copy whole stores to their final names, all within one bucket; those that they are copied from stay.

    What was there before goes away first, and each store appears at once, with its `MARKER`. Done again after it was
    cut off in the middle it gives the same.

    Parameters
    ----------
    made
        Stores with their final names, in the order in which they are to appear.
    overwrite
        Whether stores of those names may be replaced.

    Raises
    ------
    FileError
        If another store has one of the names without `overwrite`, or the server refuses.
    """
    for source, final in made:
        if not overwrite and not _is_ours(source, final):
            raise FileError(f"{final}: exists already; give `overwrite` to replace it, or another name")
    for source, final in made:
        clear(final)
        moves = [(one, _moved(one, source, final)) for one, _ in source.inside() if one != source / MARKER]
        with ThreadPoolExecutor(_AT_ONCE) as copying:
            for done in [copying.submit(one.copy_to, other) for one, other in moves]:
                done.result()
    for source, final in made:
        (source / MARKER).copy_to(final / MARKER)


def clear(path: Remote) -> None:
    """Remove all objects below a place, the `MARKER` first, so that nobody takes half of it for a store."""
    (path / MARKER).unlink()
    with ThreadPoolExecutor(_AT_ONCE) as removing:
        for done in [removing.submit(one.unlink) for one, _ in path.inside()]:
            done.result()


def _is_ours(source: Remote, final: Remote) -> bool:
    """Whether nothing has the final name but what an earlier try to publish `source` may have left there."""
    copied = {_moved(one, source, final) for one, _ in source.inside()}
    if any(one not in copied for one, _ in final.inside()):
        return False
    marker = final / MARKER
    return not marker.is_file() or marker.read_bytes() == (source / MARKER).read_bytes()


def _moved(one: Remote, source: Remote, final: Remote) -> Remote:
    return final / one.key.removeprefix(f"{source.key}/")
