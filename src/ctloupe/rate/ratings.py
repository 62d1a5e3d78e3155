"""The marks that came back, joined with what was shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.rate.design import KEY, Design, Row, read_table

_MOST_SHOWN: Final = 40


@dataclass(frozen=True)
class Marks:
    """Marks of one criterion.

    Attributes
    ----------
    first, second : (raters, patches, methods)
        Marks of the first and the second showing; NaN where there is none.
    """

    first: NDArray[np.float64]
    second: NDArray[np.float64]


def read_ratings(design: Design, folder: Path, files: Sequence[Path]) -> dict[str, Marks]:
    """Read filled sheets.

    Parameters
    ----------
    design
        Design of the study.
    folder
        Folder that `write_study` put the key into.
    files
        CSV files with the columns rater, label and one for each criterion; other columns are ignored, and an empty
        cell is no mark.

    Returns
    -------
    dict
        Marks by criterion.

    Raises
    ------
    FileError
        If a file is missing or damaged.
    OptionError
        If a rater, label or column is unknown, a label is marked twice, or a mark is no number of the criterion.
    """
    shape = (len(design.raters), len(design.patch_names), len(design.methods))
    found = {name: Marks(np.full(shape, np.nan), np.full(shape, np.nan)) for name in design.criteria}
    for shown, row, where in marked_rows(design, folder, files):
        at = (
            design.raters.index(shown["rater"]),
            design.patch_names.index(shown["patch"]),
            design.methods.index(shown["method"]),
        )
        for name, mark in marks_in(design, row, where).items():
            (found[name].first if shown["showing"] == "1" else found[name].second)[at] = mark
    return found


def marked_rows(design: Design, folder: Path, files: Sequence[Path]) -> Iterator[tuple[Row, Row, str]]:
    """Yield what was shown, the row of the sheet, and its place for messages; see `read_ratings`."""
    shown = _shown(design, folder / KEY)
    seen: set[tuple[str, str]] = set()
    for path in files:
        rows = read_table(path)
        missing = [column for column in ("rater", "label", *design.criteria) if rows and column not in rows[0]]
        if missing:
            raise OptionError(f"{path}: has no column {' and no column '.join(missing)}; use the sheet of the study")
        for line, row in enumerate(rows, 2):
            key = row["rater"], row["label"]
            if key not in shown or key in seen:
                fault = "is marked twice" if key in seen else "was not shown to this rater"
                raise OptionError(f"{path}: line {line}: label {_short(key[1])} of rater {_short(key[0])} {fault}")
            seen.add(key)
            yield shown[key], row, f"{path}: line {line}"


def _shown(design: Design, path: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Rows of the key by rater and label; all are of this design."""
    known = {"rater": design.raters, "patch": design.patch_names, "method": design.methods, "showing": ["1", "2"]}
    known |= {"other": design.methods} if design.choice else {}
    rows = read_table(path)
    for line, row in enumerate(rows, 2):
        for column, names in known.items():
            if row.get(column) not in names:
                raise FileError(
                    f"{path}: line {line}: '{_short(row.get(column))}' is no {column} of the design beside it; "
                    "use both as 'ctloupe rate design' wrote them"
                )
        if not row.get("label"):
            raise FileError(
                f"{path}: line {line}: the item has no label; use the key as 'ctloupe rate design' wrote it"
            )
    return {(row["rater"], row["label"]): row for row in rows}


def marks_in(design: Design, row: Row, where: str) -> dict[str, float]:
    """Marks of a row of a sheet by criterion; those that were not given are left out.

    Raises
    ------
    OptionError
        If a mark is no number of the criterion.
    """
    found = {}
    for name, (low, high) in design.criteria.items():
        text = (row[name] or "").strip()
        if not text:
            continue
        try:
            mark = float(text)
        except ValueError:
            mark = np.nan
        if not low <= mark <= high:
            raise OptionError(f"{where}: {name} is '{_short(text)}'; expected a mark from {low} to {high}, or nothing")
        found[name] = mark
    return found


def _short(text: str | None) -> str:
    """The beginning of what a cell holds."""
    return (text or "")[:_MOST_SHOWN]
