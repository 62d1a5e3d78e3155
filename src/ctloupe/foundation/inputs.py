"""What may be read: plain files, and never what is written to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.location import Location, Remote, location

Key = Path | tuple[int, int]
"""A resolved path, or device and inode: two names of one thing share one of them."""


def require_apart(inputs: Iterable[Location | str | None], outputs: Iterable[Location | str | None]) -> None:
    """Refuse outputs that would touch what is read, whatever may be overwritten.

    An output may neither be an input, nor lie inside of one, nor hold one; nor may two outputs be one. Names are
    compared as what they lead to: through symbolic links, hard links, and other names of one folder. Links inside an
    input folder count as well where an output exists already.

    Parameters
    ----------
    inputs
        Files and folders that are read; None, and what is not there, is skipped.
    outputs
        Files and folders that are written or replaced as a whole; None is skipped.

    Raises
    ------
    FileError
        If an output touches an input or another output; the message names both.
    """
    seen = _Seen()
    sources_anywhere = [location(one) for one in inputs if one is not None]
    targets_anywhere = [location(one) for one in outputs if one is not None]
    _require_apart_remotely(
        [one for one in sources_anywhere if isinstance(one, Remote)],
        [one for one in targets_anywhere if isinstance(one, Remote)],
    )
    read = [one for one in sources_anywhere if not isinstance(one, Remote) and os.path.lexists(one)]
    written = [one for one in targets_anywhere if not isinstance(one, Remote)]
    sources = {key: path for path in reversed(read) for key in seen.keys(path)}
    if any(os.path.lexists(path) for path in written):
        sources = {key: path for path in read for key in seen.linked(path)} | sources
    targets = {key: path for path in written for key in seen.keys(path)}
    for path in written:
        at, below = seen.met(path, sources)
        if at is not None:
            raise FileError(f"{path}: {'lies inside' if below else 'is'} the input {at}; {_ADVICE}")
    for key, path in sources.items():
        holder = next((targets[one] for one in seen.above(key) if one in targets), None)
        if holder is not None:
            raise FileError(f"{holder}: holds the input {path}; {_ADVICE}")
    _require_distinct(seen, written)


def _require_apart_remotely(read: Sequence[Remote], written: Sequence[Remote]) -> None:
    """The same on servers, where a place has one name."""
    for made in written:
        for source in read:
            if made.is_relative_to(source):
                raise FileError(f"{made}: {'is' if made == source else 'lies inside'} the input {source}; {_ADVICE}")
            if source.is_relative_to(made):
                raise FileError(f"{made}: holds the input {source}; {_ADVICE}")
    for at, made in enumerate(written):
        for other in written[:at]:
            if made.is_relative_to(other) or other.is_relative_to(made):
                raise FileError(
                    f"{made}: is another output as well, or lies inside of it: {other}; give different names"
                )


def _require_distinct(seen: _Seen, written: Sequence[Path]) -> None:
    """Refuse two outputs that are one, or of which one holds the other."""
    earlier: dict[Key, Path] = {}
    # Shorter paths first: what holds another comes before it.
    for path in sorted(written, key=lambda one: len(_real(one).parts)):
        other, _ = seen.met(path, earlier)
        if other is not None:
            raise FileError(f"{path}: is another output as well, or lies inside of it: {other}; give different names")
        earlier |= dict.fromkeys(seen.keys(path), path)


_ADVICE = "an input is never replaced: give another output"


class _Seen:
    """Keys of paths; the operating system is asked once for each folder."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Key, ...]] = {}

    def keys(self, path: Path) -> tuple[Key, ...]:
        """Keys of what `path` leads to, which need not exist."""
        return self._keys(_real(path))

    def above(self, key: Key) -> list[Key]:
        """Keys of every folder that holds a resolved path; nothing of another key."""
        return [one for folder in key.parents for one in self._keys(folder)] if isinstance(key, Path) else []

    def met(self, path: Path, known: Mapping[Key, Path]) -> tuple[Path | None, bool]:
        """Which of the `known` is what `path` leads to, or holds it, and whether it holds it."""
        own = next((known[key] for key in self.keys(path) if key in known), None)
        if own is not None:
            return own, False
        return next((known[key] for key in self.above(_real(path)) if key in known), None), True

    def linked(self, folder: Path) -> list[Key]:
        """Keys of what is called by another name as well, among all that lies inside a folder."""
        found: list[Key] = []
        for inside, folders, names in os.walk(folder):
            for name in folders + names:
                entry = Path(inside, name)
                if entry.is_symlink() or (name in names and _names_of(entry) > 1):
                    found += self.keys(entry)
        return found

    def _keys(self, real: Path) -> tuple[Key, ...]:
        if real not in self._known:
            try:
                status = real.stat()
                self._known[real] = real, (status.st_dev, status.st_ino)
            except OSError:
                self._known[real] = (real,)
        return self._known[real]


def _real(path: Path) -> Path:
    # `Path.resolve` raises where links lead in a circle.
    return Path(os.path.realpath(path))


def _names_of(file: Path) -> int:
    try:
        return file.stat().st_nlink
    except OSError:
        return 0


def require_plain_file(path: Path) -> None:
    """Refuse what would be waited for without end, such as a pipe, or is no file at all; what is missing passes.

    Raises
    ------
    FileError
        If something other than a plain file is there.
    """
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a pipe or a device"
        raise FileError(f"{path}: {what} is here; expected a plain file")
