"""What of a long enhancement is already done, kept beside it so that it can be continued."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Final

from ctloupe.foundation.errors import FileError, OptionError

_NAME: Final = "journal.jsonl"


class Journal:
    """A hidden folder beside the output with the unfinished stores, and a line for every finished run of slices.

    A line is written only after the slices are on the disk; a line that was cut off by a crash is ignored, and its
    slices are made again.

    Parameters
    ----------
    output
        Final name of the first store; the folder's name is made from it.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output.with_name(f".{output.name}.unfinished")
        self._path = self.folder / _NAME
        self.work: dict[str, Any] = {}
        self.done: list[dict[str, Any]] = []

    @property
    def exists(self) -> bool:
        """Whether something unfinished is there."""
        return self._path.is_file()

    def begin(self, work: dict[str, Any]) -> None:
        """Start over with an empty folder.

        Parameters
        ----------
        work
            What is to be done, as plain JSON; continuing asks for the same.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.work, self.done = work, []

    def opened(self) -> None:
        """Write the first line, once the stores are there: from now on the folder can be continued."""
        _append(self._path, self.work)

    def resume(self, work: dict[str, Any]) -> None:
        """Read what is done.

        Raises
        ------
        OptionError
            If the unfinished work is another one.
        FileError
            If it cannot be read.
        """
        try:
            text = self._path.read_bytes()
            whole = text.rfind(b"\n") + 1
            if whole < len(text):
                os.truncate(self._path, whole)
            found = [json.loads(line) for line in text[:whole].splitlines()]
            begun, self.done = found[0], found[1:]
        except (OSError, ValueError, IndexError) as error:
            raise FileError(f"{self._path}: unreadable ({error}); start over without `resume`") from error
        other = [key for key in work if begun.get(key) != work[key]]
        if other:
            raise OptionError(
                f"`resume`: {self.output} was begun with another {' and '.join(other)}; use the same command, or "
                "start over without `resume`"
            )
        self.work = begun

    def record(self, line: dict[str, Any]) -> None:
        """Note finished slices."""
        self.done.append(line)
        _append(self._path, line)

    def finished(self) -> set[int]:
        """Slices that need not be made again."""
        return {z for line in self.done for z in range(line["slices"][0], line["slices"][1])}

    def close(self) -> None:
        """Remove the folder; the stores have left it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _append(path: Path, line: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
