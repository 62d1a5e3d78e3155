"""The marks that came back, joined with what was shown."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.rate.design import KEY, Design


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
    shown = {(row["rater"], row["label"]): row for row in _rows(folder / KEY)}
    shape = (len(design.raters), len(design.patch_names), len(design.methods))
    found = {name: Marks(np.full(shape, np.nan), np.full(shape, np.nan)) for name in design.criteria}
    seen: set[tuple[str, str]] = set()
    for path in files:
        rows = _rows(path)
        missing = [column for column in ("rater", "label", *design.criteria) if rows and column not in rows[0]]
        if missing:
            raise OptionError(f"{path}: has no column {' and no column '.join(missing)}; use the sheet of the study")
        for line, row in enumerate(rows, 2):
            key = row["rater"], row["label"]
            if key not in shown or key in seen:
                fault = "is marked twice" if key in seen else "was not shown to this rater"
                raise OptionError(f"{path}: line {line}: label {key[1]} of rater {key[0]} {fault}")
            seen.add(key)
            _enter(design, found, shown[key], row, f"{path}: line {line}")
    return found


def _enter(design: Design, found: dict[str, Marks], shown: dict[str, str], row: dict[str, str], where: str) -> None:
    at = (
        design.raters.index(shown["rater"]),
        design.patch_names.index(shown["patch"]),
        design.methods.index(shown["method"]),
    )
    for name, (low, high) in design.criteria.items():
        text = (row[name] or "").strip()
        if not text:
            continue
        try:
            mark = float(text)
        except ValueError:
            mark = np.nan
        if not low <= mark <= high:
            raise OptionError(f"{where}: {name} is '{text}'; expected a mark from {low} to {high}, or nothing")
        (found[name].first if shown["showing"] == "1" else found[name].second)[at] = mark


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: unreadable as a table ({error}); expected CSV in UTF-8") from error
