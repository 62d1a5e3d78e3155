"""What a rater has answered on the pages: a line for each answer, on the disk before the next picture is shown."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.rate.design import KEY, Design, Row, read_table, write_table


class Answer(BaseModel):
    """The marks of one item.

    Attributes
    ----------
    label
        Blinded label of the item.
    marks
        Mark by criterion.
    seconds
        How long the item was looked at before.
    at
        When it was given, UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    marks: dict[str, int]
    seconds: FiniteFloat = Field(ge=0, le=1e6)
    at: str = ""


class Display(BaseModel):
    """What a rater saw of the display check.

    Attributes
    ----------
    dark, bright
        How many of the squares that hardly differ from black, and from white, were seen.
    squares
        How many there were of each.
    pixels_per_mm
        Pixels of the page a millimetre, by a bank card held against the screen.
    at
        When it was checked, UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dark: int = Field(ge=0, le=99)
    bright: int = Field(ge=0, le=99)
    squares: int = Field(ge=1, le=99)
    pixels_per_mm: FiniteFloat = Field(gt=0, le=1000)
    at: str = ""


def answers_of(rater: str) -> str:
    """Name of the file of a rater's answers in a study."""
    return f"answers-{rater}.jsonl"


class Answers:
    """The answers of one rater, kept as lines that are only ever added.

    A later line of an item takes the place of an earlier one. A last line that was cut off by a crash is left out.

    Parameters
    ----------
    study
        Folder of the study.
    design
        Its design.
    rater
        Code of the rater.

    Raises
    ------
    FileError
        If a line of the file is damaged.
    OptionError
        If the rater's sheet was filled by hand before.
    """

    def __init__(self, study: Path, design: Design, rater: str) -> None:
        self.items = items_of(study, rater)
        self._design, self._rater = design, rater
        self._path, self._sheet = study / answers_of(rater), study / f"ratings-{rater}.csv"
        self.given: dict[str, Answer] = {}
        self.display: Display | None = None
        if self._path.exists():
            self._read()
        elif self._sheet.exists() and any(row.get(name) for row in read_table(self._sheet) for name in design.criteria):
            raise OptionError(f"{self._sheet}: was filled by hand; move it away, since the pages write it anew")

    def add(self, answer: Answer) -> None:
        """Keep an answer: it is on the disk when this returns, and in the sheet.

        Raises
        ------
        OptionError
            If the item is none of this rater's, or a mark is not one of the design.
        """
        if answer.label not in {row["label"] for row in self.items}:
            raise OptionError("no such item")
        if answer.marks.keys() != self._design.criteria.keys():
            raise OptionError("expected a mark for each criterion")
        for name, mark in answer.marks.items():
            low, high = self._design.criteria[name]
            if not low <= mark <= high:
                raise OptionError(f"{name}: expected a mark from {low} to {high}")
        kept = answer.model_copy(update={"at": _now()})
        self._append({"answer": kept.model_dump()})
        self.given[kept.label] = kept
        self._write_sheet()

    def check(self, display: Display) -> None:
        """Keep what was seen of the display check."""
        kept = display.model_copy(update={"at": _now()})
        self._append({"display": kept.model_dump()})
        self.display = kept

    def _read(self) -> None:
        text = self._path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.truncate(self._path, whole)
        for number, line in enumerate(text[:whole].splitlines(), 1):
            try:
                says = json.loads(line)
                if "display" in says:
                    self.display = Display.model_validate(says["display"])
                else:
                    answer = Answer.model_validate(says["answer"])
                    self.given[answer.label] = answer
            except (ValueError, KeyError, TypeError, ValidationError) as error:
                raise FileError(f"{self._path}: line {number} is damaged; put a sound copy in its place") from error

    def _append(self, says: Mapping[str, Any]) -> None:
        new = not self._path.exists()
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(says, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if new and os.name != "nt":
            # Without it a crash may forget that there is such a file.
            handle = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _write_sheet(self) -> None:
        names = list(self._design.criteria)
        rows = []
        for row in self.items:
            answer = self.given.get(row["label"])
            marks: Mapping[str, Any] = dict.fromkeys(names, "") if answer is None else answer.marks
            seconds = "" if answer is None else f"{answer.seconds:.1f}"
            rows.append({"rater": self._rater, **row, **marks, "seconds": seconds})
        with replacing(self._sheet, overwrite=True) as temporary:
            write_table(temporary, ["rater", "position", "label", *names, "seconds"], rows)


def items_of(study: Path, rater: str) -> list[Row]:
    """Return position and label of a rater's items, in their order: nothing that says what they are."""
    rows = [row for row in read_table(study / KEY) if row.get("rater") == rater]
    return [{"position": row["position"], "label": row["label"]} for row in rows]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
