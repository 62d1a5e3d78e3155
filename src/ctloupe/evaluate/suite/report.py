"""Leaderboards of a suite as Markdown, CSV and one page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.comparison import BASELINE, Comparison
from ctloupe.evaluate.metrics.questions import QUESTIONS
from ctloupe.evaluate.protocols.registry import metrics_by_label
from ctloupe.evaluate.report.page import add_curves, square_of, varied_square
from ctloupe.evaluate.report.pictures import View, panel
from ctloupe.evaluate.report.pictures import in_words as pictured
from ctloupe.evaluate.report.report import Report
from ctloupe.evaluate.report.words import how_to_read
from ctloupe.evaluate.suite.definition import Suite
from ctloupe.evaluate.suite.leaderboard import LEGEND, Leaderboard
from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.foreign_text import in_markdown
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.phantom.anatomies.registry import get
from ctloupe.volume.volume import Volume

FURTHER: Final = "Further"
"""Theme of metrics that this version does not know."""

CROP_SIDE: Final = 20
"""Side of the pictured square, in voxels of the scan."""

OUTPUTS: Final = ("leaderboard.md", "leaderboard.csv", "report.html")
"""Files of a leaderboard."""

_PER_LINE: Final = 5


def write_boards(boards: Mapping[str, Leaderboard], title: str, out: Path) -> None:
    """Write tables and ``report.html`` of leaderboards by group; see `write_tables`."""
    write_tables(boards, title, out)
    page = Report(title)
    _add_boards(page, boards)
    page.write(out / "report.html")


def write_tables(boards: Mapping[str, Leaderboard], title: str, out: Path) -> None:
    """Write ``leaderboard.md`` and ``leaderboard.csv`` of leaderboards by group.

    Raises
    ------
    FileError
        If they cannot be written.
    """
    parts = [f"# {title}", LEGEND]
    for group, board in boards.items():
        parts.append(f"## {group[:1].upper()}{group[1:]}" if group else "## Leaderboard")
        parts.append(board_markdown(board))
        parts.append(
            "\n".join(
                f"* {in_markdown(metric)}: {in_markdown(meaning)}" for metric, meaning in board.definitions.items()
            )
        )
    _write(out / "leaderboard.md", "\n\n".join([*parts, RESEARCH_NOTICE]) + "\n")
    tables = {group: board.csv().splitlines() for group, board in boards.items()}
    head = next(iter(tables.values()))[0]
    lines = [f"group,{head}", *(f"{group},{line}" for group, table in tables.items() for line in table[1:])]
    _write(out / "leaderboard.csv", "\n".join(lines) + "\n")


def board_markdown(board: Leaderboard) -> str:
    """A leaderboard as Markdown, one table a theme."""
    parts = [f"### {theme}\n\n{board.markdown(metrics)}" for theme, metrics in _themes(board).items()]
    return "\n\n".join([in_markdown(_origin(board)), *parts])


def write_suite_report(
    suite: Suite,
    boards: Mapping[str, Leaderboard],
    found: Mapping[str, Comparison],
    shown: Mapping[str, str],
    out: Path,
) -> None:
    """Write ``report.html`` with tables, pictures and curves of every case.

    Parameters
    ----------
    suite, boards, found
        What was run, and what came of it by group and by case.
    shown
        Names of the rows that are shown, by the key of one model of each in the results of a case.
    out
        Folder of the suite's results.
    """
    page = Report(f"Suite {suite.name}: {suite.title}")
    for case in suite.cases:
        page.section(f"Case {case.key}")
        page.text(f"{case.in_words()}.")
        for warning, rows in _warned(found[case.key], shown).items():
            page.text(f"⚠ {', '.join(rows)}: {warning}.", "warning")
        views = _views(out / "pictures" / case.key, shown, get(case.anatomy).display)
        if views:
            square = panel(views, rows=-(-len(views) // _PER_LINE))
            page.figure(square, "The square where the scan varies most.", pictured(views))
    _add_boards(page, boards)
    first = found[suite.cases[0].key]
    names = {BASELINE: BASELINE, **shown, "truth": "truth"}
    kept = {
        figure: {names[key]: line for key, line in lines.items() if key in names}
        for figure, lines in first.curves.items()
    }
    of_first = Comparison(first.protocol, first.rows, first.definitions, curves=kept)
    add_curves(page, of_first, f"Detail by fineness in case {suite.cases[0].key}")
    page.write(out / "report.html")


def _warned(found: Comparison, shown: Mapping[str, str]) -> dict[str, list[str]]:
    """Rows of single models by what speaks against them on a case."""
    said: dict[str, list[str]] = {}
    for key, name in shown.items():
        for warning in found.facts.get("warnings", {}).get(key, []):
            said.setdefault(warning, []).append(name)
    return said


def _add_boards(page: Report, boards: Mapping[str, Leaderboard]) -> None:
    page.section("How to read")
    page.text(LEGEND)
    meanings = {label: meaning for board in boards.values() for label, meaning in board.definitions.items()}
    if advice := how_to_read(meanings):
        page.text(advice)
    for group, board in boards.items():
        page.section(f"Leaderboard{f', {group}' if group else ''}")
        page.text(_origin(board))
        for theme, metrics in _themes(board).items():
            page.table(*board.texts(metrics), f"{theme}{f' ({group})' if group else ''}")
    page.section("What the numbers mean")
    page.terms(meanings)


def _origin(board: Leaderboard) -> str:
    few = " Intervals need at least three cases." if len(board.cases) < 3 else ""
    return (
        f"Protocol {board.protocol}; {len(board.cases)} case{'s' if len(board.cases) > 1 else ''}: "
        f"{', '.join(board.cases)}.{few}"
    )


def _themes(board: Leaderboard) -> dict[str, tuple[str, ...]]:
    """Metrics of the leaderboard by the theme of their question; those that this version does not know come last."""
    known = metrics_by_label()
    theme = {label: known[label].question.theme if label in known else FURTHER for label in board.definitions}
    order = dict.fromkeys([*(question.theme for question in QUESTIONS), FURTHER])
    found = {one: tuple(label for label in board.definitions if theme[label] == one) for one in order}
    return {one: labels for one, labels in found.items() if labels}


def keep_crops(folder: Path, scan: Volume, truth: Volume, rows: Mapping[str, Volume]) -> None:
    """Keep the same square of scan, truth and every row, for the page."""
    folder.mkdir(parents=True, exist_ok=True)
    side = min(CROP_SIDE, *scan.shape[1:])
    corner = varied_square(scan, side)
    for name, volume in {"_scan": scan, "_truth": truth, **rows}.items():
        # Values in HU and pixels in mm, all that a view needs.
        crop = square_of(volume, scan, corner, side)
        np.savez(folder / f"{name}.npz", crop=crop, spacing=np.asarray(volume.spacing[1:]))


def _views(folder: Path, shown: Mapping[str, str], window: tuple[float, float]) -> list[View]:
    found = []
    for key, name in {"_scan": "scan", BASELINE: BASELINE, **shown, "_truth": "truth"}.items():
        path = folder / f"{key}.npz"
        if path.is_file():
            crop, spacing = kept_crop(path)
            found.append(View(name, crop, spacing, window))
    return found


def kept_crop(path: Path) -> tuple[NDArray[Any], tuple[float, float]]:
    """Square and pixel size that `keep_crops` wrote."""
    again = "delete it, and run the suite again to have a page without it"
    try:
        with np.load(path, allow_pickle=False) as kept:
            crop, spacing = kept["crop"], kept["spacing"]
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, BadZipFile) as error:
        raise FileError(f"{path}: not a readable picture ({str(error).splitlines()[0]}); {again}") from error
    if crop.ndim != 2 or not crop.size or crop.dtype.kind not in "iuf":
        raise FileError(f"{path}: its square is not one of rows and columns of numbers; {again}")
    if spacing.shape != (2,) or spacing.dtype.kind not in "iuf" or not np.all(np.isfinite(spacing) & (spacing > 0)):
        raise FileError(f"{path}: its pixel size is not two lengths in mm; {again}")
    return crop, (float(spacing[0]), float(spacing[1]))


def _write(path: Path, text: str) -> None:
    with replacing(path, overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")
