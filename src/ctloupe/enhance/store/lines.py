"""Where the lines of a journal lie: in a file that grows, or in an object that is written anew with each line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Protocol

from ctloupe.enhance.store.unfinished import JOURNAL
from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.location import Location, Remote
from ctloupe.volume.formats.ome_zarr.remote import clear


class Lines(Protocol):
    """The lines of a journal, in the folder of the unfinished stores."""

    def exist(self) -> bool:
        """Whether any were written."""

    def begin(self) -> None:
        """Start over with an empty folder."""

    def read(self) -> bytes:
        """Return all whole lines; one that was cut off is forgotten."""

    def append(self, line: str) -> None:
        """Add a line, which lasts when this returns."""

    def replace(self, text: str) -> None:
        """Put other lines in place of all, in one step."""

    def close(self) -> None:
        """Remove the folder."""


def lines_in(folder: Location) -> Lines:
    """Return what keeps the lines of a journal in `folder`."""
    return _ObjectOfLines(folder) if isinstance(folder, Remote) else _FileOfLines(folder)


class _FileOfLines:
    """Lines in a file on a disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / JOURNAL

    def exist(self) -> bool:
        return self._path.is_file()

    def begin(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)

    def read(self) -> bytes:
        text = self._path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.truncate(self._path, whole)
        return text[:whole]

    def append(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def replace(self, text: str) -> None:
        with replacing(self._path, overwrite=True) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class _ObjectOfLines:
    """Lines in an object on a server, where nothing can be added to one; each writing is whole or does not happen."""

    def __init__(self, folder: Remote) -> None:
        self._folder = folder
        self._path = folder / JOURNAL
        self._text = ""

    def exist(self) -> bool:
        return self._path.is_file()

    def begin(self) -> None:
        self.close()

    def read(self) -> bytes:
        content = self._path.read_bytes()
        self._text = content.decode("utf-8")
        return content

    def append(self, line: str) -> None:
        self.replace(self._text + line)

    def replace(self, text: str) -> None:
        self._path.write_bytes(text.encode("utf-8"))
        self._text = text

    def close(self) -> None:
        # The journal goes first: without it nobody goes on with half of the stores.
        self._path.unlink()
        clear(self._folder)
        self._text = ""
