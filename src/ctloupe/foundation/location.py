"""Where a volume lies: a local path, or a place on a server.

A `pathlib.Path` cannot hold a URL: it would turn ``s3://bucket/scan`` into ``s3:/bucket/scan``, a folder on this disk.
Whatever people give as text becomes a location by `location`, and by nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import unquote

from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.object_store import answered, opened

WRITABLE: Final = ("s3", "gs")
SCHEMES: Final = (*WRITABLE, "http", "https")

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_MANGLED: Final = tuple(f"{scheme}:" for scheme in SCHEMES)


@dataclass(frozen=True)
class Remote:
    """A place on an object store or web server: what a path is on a disk.

    It is no `os.PathLike`, so that nothing takes it for a place on this disk by mistake.

    Attributes
    ----------
    scheme
        ``s3``, ``gs``, ``http`` or ``https``.
    host
        Bucket, or name and port of a web server.
    key
        What follows, without slashes at its ends.
    """

    scheme: str
    host: str
    key: str

    def __str__(self) -> str:
        return f"{self.root}{self.key}"

    def __truediv__(self, name: str) -> Remote:
        return Remote(self.scheme, self.host, f"{self.key}/{name}" if self.key else name)

    @property
    def root(self) -> str:
        """Address of the bucket or server."""
        return f"{self.scheme}://{self.host}/"

    @property
    def name(self) -> str:
        """Last part of the key."""
        return PurePosixPath(self.key).name

    @property
    def suffix(self) -> str:
        """Last suffix of the name."""
        return PurePosixPath(self.key).suffix

    @property
    def parent(self) -> Remote:
        """The place that holds this one."""
        return Remote(self.scheme, self.host, self.key.rpartition("/")[0])

    @property
    def writable(self) -> bool:
        """Whether anything can be written there: web servers are read only."""
        return self.scheme in WRITABLE

    def absolute(self) -> Remote:
        """The same place: an address does not depend on the working folder."""
        return self

    def with_name(self, name: str) -> Remote:
        """The place beside this one that is called `name`."""
        return self.parent / name

    def is_relative_to(self, other: Remote) -> bool:
        """Whether this is `other`, or lies below it."""
        return self.root == other.root and (self.key == other.key or self.key.startswith(f"{other.key}/"))

    def exists(self) -> bool:
        """Whether an object of this name is there, or, where the server can tell, any below it."""
        return self.is_file() or (self.writable and next(self.inside(), None) is not None)

    def is_file(self) -> bool:
        """Whether an object of exactly this name is there."""
        return self.stamp() is not None

    def stamp(self) -> tuple[int, str] | None:
        """Number of bytes of an object, and the mark that its server gives its content; None where there is none."""
        store = self._store()
        import obstore

        try:
            with answered(str(self)):
                found = obstore.head(store, self.key)
        except FileNotFoundError:
            return None
        return int(found["size"]), _plain(found["e_tag"])

    def read_bytes(self) -> bytes:
        """Return an object.

        Raises
        ------
        FileNotFoundError
            If it is not there.
        FileError
            If the server refuses, or does not answer.
        """
        store = self._store()
        import obstore

        with answered(str(self)):
            return bytes(obstore.get(store, self.key).bytes())

    def read_text(self, encoding: str = "utf-8") -> str:
        """Return an object as text; see `read_bytes`."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes, new: bool = False) -> bool:
        """Write an object, which appears whole.

        Parameters
        ----------
        content
            Its bytes.
        new
            Whether it must not be there yet; servers that know no such condition write it all the same.

        Returns
        -------
        bool
            Whether it was written: False where it has to be new and is not.

        Raises
        ------
        FileError
            If it cannot be written.
        """
        store = self._store()
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with answered(str(self), "written"):
            try:
                obstore.put(store, self.key, content, mode="create" if new else "overwrite")
            except AlreadyExistsError:
                return False
        return True

    def unlink(self) -> None:
        """Remove an object, if it is there."""
        store = self._store()
        import obstore

        try:
            with answered(str(self)):
                obstore.delete(store, self.key)
        except FileNotFoundError:
            pass

    def inside(self) -> Iterator[tuple[Remote, tuple[int, str]]]:
        """Yield every object below this place, with what `stamp` tells of it."""
        store = self._store()
        import obstore

        with answered(str(self)):
            for batch in obstore.list(store, prefix=f"{self.key}/" if self.key else None):
                for one in batch:
                    place = Remote(self.scheme, self.host, str(one["path"]))
                    yield place, (int(one["size"]), _plain(one["e_tag"]))

    def copy_to(self, other: Remote) -> None:
        """Copy an object within its bucket; the server does it, and nothing travels here.

        Raises
        ------
        FileError
            If it cannot be copied.
        """
        store = self._store()
        import obstore

        with answered(str(other), "written"):
            obstore.copy(store, self.key, other.key)

    def _store(self) -> Any:
        # Asked for first: it says what to install where the library is absent.
        return opened(self.scheme, self.host)


Location: TypeAlias = Path | Remote
"""Where something lies: on a disk, or on a server."""

Place = TypeVar("Place", Path, Remote, Location)
"""Any of these, where what is returned is of the kind that was given."""


def location(given: Location | str) -> Location:
    """Return the place that a text means: a local path, or one on a server where it begins with ``s3://`` and the like.

    Raises
    ------
    OptionError
        If the scheme is unknown, the address holds credentials or a query, or a `Path` was made of a URL.
    """
    if isinstance(given, Remote):
        return given
    found = _URL.match(given) if isinstance(given, str) else None
    if found is not None:
        return _remote(found[1].lower(), found[2])
    path = Path(given)
    refuse_mangled(path)
    return path


def is_url(text: str) -> bool:
    """Whether a text is an address, of whatever scheme, and not a local path."""
    return _URL.match(text) is not None


def refuse_mangled(path: Path) -> None:
    """Refuse a path that was made of a URL, before a folder of that name is made on this disk.

    Raises
    ------
    OptionError
        If its first part is a scheme such as ``s3:``.
    """
    if path.parts and path.parts[0] in _MANGLED:
        raise OptionError(
            f"{path.parts[0]}//: an address on a server where a local path is expected; copy it to this disk, or in "
            "Python give the address as text, which a Path cannot hold"
        )


def _remote(scheme: str, rest: str) -> Remote:
    host, _, key = rest.partition("/")
    # What is refused here may hold a password or a token, so it is not repeated.
    if "@" in host or "?" in rest or "#" in rest:
        raise OptionError(
            f"{scheme}://…: an address with a user, a password, a query or a token; give credentials in the "
            "environment only, and the address without them"
        )
    if scheme not in SCHEMES:
        raise OptionError(f"{scheme}://{host}: expected one of {', '.join(f'{one}://' for one in SCHEMES)}, or a path")
    # Of a web server an address as browsers write it; keys of buckets are what they are.
    key = (key if scheme in WRITABLE else unquote(key)).strip("/")
    if not host or not key or any(part in ("", ".", "..") for part in key.split("/")):
        raise OptionError(f"{scheme}://{rest[:200]}: expected {scheme}://{_HOST[scheme]}/name.ome.zarr")
    return Remote(scheme, host, key)


_HOST: Final = {"s3": "bucket", "gs": "bucket", "http": "host", "https": "host"}


def _plain(e_tag: str | None) -> str:
    """An ETag as all of a server's answers give it: some put it into quotes in one answer and not in another."""
    return (e_tag or "").removeprefix("W/").strip('"')
