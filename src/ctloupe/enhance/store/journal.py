"""What of a long enhancement is already done, kept beside it so that it can be continued."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ctloupe.enhance.identity import Identity
from ctloupe.enhance.store.lines import lines_in
from ctloupe.enhance.store.stores import Mark
from ctloupe.enhance.store.unfinished import JOURNAL, unfinished_folder
from ctloupe.enhance.tiling import Tiling
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.location import Location
from ctloupe.foundation.records import validated

_ADVICE: Final = "start over without `resume`"


class BegunWork(BaseModel):
    """First line of a journal.

    Attributes
    ----------
    identity
        What decides every byte of the result.
    tiling
        How slices are cut; None when they are not.
    stores
        Marks of what describes each store, by its name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    identity: Identity
    tiling: Tiling | None
    stores: dict[str, Mark]


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
    marks
        Mark of each slice in each store.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    slices: tuple[int, int]
    residual: tuple[float, float, int]
    tiles: tuple[int, int]
    marks: dict[str, tuple[Mark, ...]]

    @model_validator(mode="after")
    def _marked(self) -> Self:
        first, end = self.slices
        if not 0 <= first < end or any(len(marks) != end - first for marks in self.marks.values()):
            raise ValueError("expected a run of slices with a mark for each")
        return self


class _Line(BaseModel):
    """A line as it is written: what it says, sealed together with all lines before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    says: dict[str, Any]
    seal: str = Field(pattern="^[0-9a-f]{32}$")


class Journal:
    """A hidden folder beside the output with the unfinished stores, and a line for every finished run of slices.

    A line is written only after the slices are on the disk; a line that was cut off by a crash is ignored, and its
    slices are made again. Each line carries a digest of itself and of those before, so that none can be changed, left
    out or added unnoticed, and the marks of its slices, so that none is published that is not as it was written.

    Parameters
    ----------
    output
        Final name of the first store; the folder's name is made from it.
    """

    def __init__(self, output: Location) -> None:
        self.output = output
        self.folder: Location = unfinished_folder(output)
        self._lines = lines_in(self.folder)
        self._work: BegunWork | None = None
        self._seal = ""
        self.done: list[FinishedSlab] = []

    @property
    def exists(self) -> bool:
        """Whether something unfinished is there."""
        return self._lines.exist()

    def begin(self) -> None:
        """Start over with an empty folder."""
        self._lines.begin()
        self._work, self._seal, self.done = None, "", []

    def opened(self, work: BegunWork) -> None:
        """Write the first line, once the stores are there: from now on the folder can be continued."""
        self._work = work
        self._append(work)

    def resume(self, identity: Identity) -> None:
        """Read what is done.

        Raises
        ------
        OptionError
            If the unfinished work is another one.
        FileError
            If the journal cannot be read, or was changed.
        """
        where = f"{self.folder / JOURNAL}: not a valid journal"
        try:
            first, *lines = [json.loads(line) for line in self._lines.read().splitlines()]
        except (OSError, ValueError, RecursionError) as error:
            raise FileError(f"{where}: {error}; {_ADVICE}") from error
        self._seal = ""
        self._work = validated(BegunWork, self._unsealed(first, where), where, FileError, _ADVICE)
        other = identity.differs_from(self.work.identity)
        if other:
            raise OptionError(
                f"`resume`: {self.output} was begun with another {' and '.join(other)}; use the same command, or "
                f"{_ADVICE}"
            )
        self.done = [validated(FinishedSlab, self._unsealed(line, where), where, FileError, _ADVICE) for line in lines]
        start, stop = self.work.identity.region[0]
        for slab in self.done:
            if slab.slices[1] > stop - start or slab.marks.keys() != self.work.stores.keys():
                raise FileError(f"{where}: slices {slab.slices[0]}:{slab.slices[1]} are not of this work; {_ADVICE}")

    def _unsealed(self, line: Any, where: str) -> dict[str, Any]:
        """What a line says, where its seal is the one that it must have after those before."""
        found = validated(_Line, line, where, FileError, _ADVICE)
        self._seal = _seal(self._seal, found.says)
        if found.seal != self._seal:
            raise FileError(f"{where}: it was changed after it was written; {_ADVICE}")
        return found.says

    def require_whole(self, slices: Callable[[int], dict[str, Mark]], descriptions: dict[str, Mark]) -> list[int]:
        """Compare the stores with what is noted of them, and forget slices that are gone or damaged.

        Parameters
        ----------
        slices
            Function that tells the marks of a slice, by what is on the disk.
        descriptions
            Marks of what describes the stores.

        Returns
        -------
        list of int
            The first slices of the runs that were forgotten and are to be made again.

        Raises
        ------
        FileError
            If what describes a store is gone or changed.
        """
        changed = [name for name, mark in self.work.stores.items() if descriptions.get(name) != mark]
        if changed:
            raise FileError(f"{self.folder}: the store '{changed[0]}' is not as it was begun; {_ADVICE}")
        kept: list[FinishedSlab] = []
        lost: list[int] = []
        for slab in self.done:
            if _is_as_noted(slab, slices):
                kept.append(slab)
            else:
                lost.append(slab.slices[0])
        if lost:
            self.done, self._seal = kept, ""
            self._lines.replace("".join([self._sealed(one) for one in (self.work, *kept)]))
        return lost

    @property
    def work(self) -> BegunWork:
        """What was begun.

        Raises
        ------
        ValueError
            If neither `opened` nor `resume` was called before.
        """
        if self._work is None:
            raise ValueError("nothing was begun or resumed")
        return self._work

    def record(self, slab: FinishedSlab) -> None:
        """Note finished slices."""
        self.done.append(slab)
        self._append(slab)

    def finished(self) -> set[int]:
        """Slices that need not be made again."""
        return {z for slab in self.done for z in range(*slab.slices)}

    def close(self) -> None:
        """Remove the folder; the stores have left it."""
        self._lines.close()

    def _append(self, line: BaseModel) -> None:
        self._lines.append(self._sealed(line))

    def _sealed(self, line: BaseModel) -> str:
        """The line as it is written after those before."""
        says = line.model_dump(mode="json")
        self._seal = _seal(self._seal, says)
        return json.dumps({"says": says, "seal": self._seal}) + "\n"


def _seal(before: str, says: dict[str, Any]) -> str:
    """Digest of a line and, by the seal `before`, of all lines before it."""
    text = before + json.dumps(says, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _is_as_noted(slab: FinishedSlab, slices: Callable[[int], dict[str, Mark]]) -> bool:
    first, end = slab.slices
    return all(slices(z) == {name: marks[z - first] for name, marks in slab.marks.items()} for z in range(first, end))
