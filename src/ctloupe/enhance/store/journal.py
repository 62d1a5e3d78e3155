"""What of a long enhancement is already done, kept beside it so that it can be continued."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from ctloupe.enhance.identity import Identity
from ctloupe.enhance.tiling import Tiling
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.records import validated

_NAME: Final = "journal.jsonl"


class BegunWork(BaseModel):
    """First line of a journal.

    Attributes
    ----------
    identity
        What decides every byte of the result.
    tiling
        How slices are cut; None when they are not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    identity: Identity
    tiling: Tiling | None


class FinishedSlab(BaseModel):
    """Line of a journal for slices that are on the disk.

    Attributes
    ----------
    slices
        First slice, and the one after the last.
    residual
        Sum of squares and sum of f↓(SR) − scan over the mask in HU, and the number of voxels.
    tiles
        How many tiles the slices have, and how many of them were outside the mask.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    slices: tuple[int, int]
    residual: tuple[float, float, int]
    tiles: tuple[int, int]


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
        self._work: BegunWork | None = None
        self.done: list[FinishedSlab] = []

    @property
    def exists(self) -> bool:
        """Whether something unfinished is there."""
        return self._path.is_file()

    def begin(self, work: BegunWork) -> None:
        """Start over with an empty folder; continuing asks for the same identity."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._work, self.done = work, []

    def opened(self) -> None:
        """Write the first line, once the stores are there: from now on the folder can be continued."""
        _append(self._path, self.work)

    def resume(self, identity: Identity) -> None:
        """Read what is done.

        Raises
        ------
        OptionError
            If the unfinished work is another one.
        FileError
            If the journal cannot be read.
        """
        advice = "start over without `resume`"
        where = f"{self._path}: not a valid journal"
        try:
            text = self._path.read_bytes()
            whole = text.rfind(b"\n") + 1
            if whole < len(text):
                os.truncate(self._path, whole)
            first, *lines = [json.loads(line) for line in text[:whole].splitlines()]
        except (OSError, ValueError) as error:
            raise FileError(f"{where}: {error}; {advice}") from error
        self._work = validated(BegunWork, first, where, FileError, advice)
        self.done = [validated(FinishedSlab, line, where, FileError, advice) for line in lines]
        other = identity.differs_from(self.work.identity)
        if other:
            raise OptionError(
                f"`resume`: {self.output} was begun with another {' and '.join(other)}; use the same command, or "
                f"{advice}"
            )

    @property
    def work(self) -> BegunWork:
        """What was begun.

        Raises
        ------
        ValueError
            If neither `begin` nor `resume` was called before.
        """
        if self._work is None:
            raise ValueError("nothing was begun or resumed")
        return self._work

    def record(self, slab: FinishedSlab) -> None:
        """Note finished slices."""
        self.done.append(slab)
        _append(self._path, slab)

    def finished(self) -> set[int]:
        """Slices that need not be made again."""
        return {z for slab in self.done for z in range(*slab.slices)}

    def close(self) -> None:
        """Remove the folder; the stores have left it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _append(path: Path, line: BaseModel) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line.model_dump_json() + "\n")
        file.flush()
        os.fsync(file.fileno())
