"""What a study says in which raters chose the better one of two methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.foundation.records import finite
from ctloupe.rate.design import Design
from ctloupe.rate.ratings import marked_rows, marks_in
from ctloupe.rate.report import write_results
from ctloupe.rate.significance import holm


@dataclass(frozen=True)
class Choice:
    """One choice: who chose on what, which method won, and whether it was the left one."""

    rater: str
    patch: str
    criterion: str
    winner: str
    loser: str
    left: bool
    showing: int


@dataclass(frozen=True)
class PairResult:
    """How often each of two methods was chosen on first showings.

    Attributes
    ----------
    one, other
        Methods.
    wins, losses
        How often `one`, and how often `other` was chosen.
    p
        Two-sided p of the exact binomial test of no preference; choices of one rater are not independent, so it is too
        small where raters differ much.
    """

    one: str
    other: str
    wins: int
    losses: int
    p: float


def read_choices(design: Design, folder: Path, files: Sequence[Path]) -> list[Choice]:
    """Read filled sheets; see `read_ratings` for what is refused."""
    found = []
    for shown, row, where in marked_rows(design, folder, files):
        for name, mark in marks_in(design, row, where).items():
            left = mark == 1
            winner, loser = (shown["method"], shown["other"]) if left else (shown["other"], shown["method"])
            found.append(Choice(shown["rater"], shown["patch"], name, winner, loser, left, int(shown["showing"])))
    return found


def pairs_of(design: Design, choices: Sequence[Choice], criterion: str) -> list[PairResult]:
    """Count the choices between every two methods for one criterion."""
    results = []
    for one, other in combinations(design.methods, 2):
        won = [
            choice.winner == one
            for choice in choices
            if choice.criterion == criterion and choice.showing == 1 and {choice.winner, choice.loser} == {one, other}
        ]
        if won:
            p = float(binomtest(sum(won), len(won)).pvalue)
            results.append(PairResult(one, other, sum(won), len(won) - sum(won), p))
    return results


def with_oneself(choices: Sequence[Choice], criterion: str) -> dict[str, tuple[int, int]]:
    """How often each rater chose the same method again, and of how many that came twice."""
    first = {
        (one.rater, one.patch, frozenset((one.winner, one.loser))): one.winner
        for one in choices
        if one.criterion == criterion and one.showing == 1
    }
    found: dict[str, tuple[int, int]] = {}
    for one in choices:
        key = (one.rater, one.patch, frozenset((one.winner, one.loser)))
        if one.criterion == criterion and one.showing == 2 and key in first:
            same, count = found.get(one.rater, (0, 0))
            found[one.rater] = same + (first[key] == one.winner), count + 1
    return found


def write_choices(
    design: Design, choices: Sequence[Choice], folder: Path, overwrite: bool, inputs: Iterable[Path | None]
) -> dict[str, Any]:
    """Write ``analysis.md``, ``analysis.json``, ``report.html`` and a chart of each criterion to a new folder.

    Returns
    -------
    dict
        Content of the JSON file.

    Raises
    ------
    FileError
        If `folder` exists without `overwrite`, touches an input, or cannot be written.
    """
    require_apart(inputs, [folder])
    results = {name: pairs_of(design, choices, name) for name in design.criteria}
    corrected = iter(holm([one.p for pairs in results.values() for one in pairs]))
    lines, criteria = [f"# {design.name}", "", RESEARCH_NOTICE, ""], {}
    for name, pairs in results.items():
        again = with_oneself(choices, name)
        left = [one.left for one in choices if one.criterion == name]
        rows = [asdict(one) | {"holm": next(corrected)} for one in pairs]
        criteria[name] = {"pairs": rows, "again": again, "left": [sum(left), len(left)]}
        lines += [
            f"## {name}",
            "",
            "| one | other | one chosen | other chosen | p | Holm |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {row['one']} | {row['other']} | {row['wins']} | {row['losses']} | {row['p']:.3g} | {row['holm']:.3g} |"
            for row in rows
        ]
        told = ", ".join(f"{rater} {same} of {count}" for rater, (same, count) in again.items()) or "nothing came twice"
        lines += ["", f"The same again: {told}. The left one was chosen {sum(left)} of {len(left)} times.", ""]
    lines += [
        "p: exact binomial test of no preference, two-sided, over patches and raters; choices of one rater are not "
        "independent of each other, so it is too small when raters differ much. Holm: over all pairs and criteria.",
        "",
    ]
    content: dict[str, Any] = finite({"study": design.name, "notice": RESEARCH_NOTICE, "criteria": criteria})
    draw = {name: partial(_chart, design, name, pairs) for name, pairs in results.items()}
    write_results(design.name, "\n".join(lines), content, draw, folder, overwrite)
    return content


def _chart(design: Design, name: str, pairs: Sequence[PairResult], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 1.2 + 0.5 * max(1, len(pairs))), layout="constrained")
    axes = figure.subplots()
    for place, one in enumerate(pairs):
        axes.barh(place, one.wins, color="#4477aa")
        axes.barh(place, -one.losses, color="#cc6677")
        axes.text(one.wins + 0.1, place, f"{one.one} {one.wins}", va="center", fontsize=8)
        axes.text(-one.losses - 0.1, place, f"{one.other} {one.losses}", va="center", ha="right", fontsize=8)
    most = max([1, *(max(one.wins, one.losses) for one in pairs)])
    axes.set_xlim(-1.8 * most, 1.8 * most)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks([])
    axes.set_title(f"{design.name}: {name}", fontsize=9)
    figure.savefig(path, dpi=110)
