"""What a rating study says: marks by method, differences with their tests, agreement, box plots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.foundation.records import finite
from ctloupe.rate.agreement import intraclass_correlation, krippendorff_alpha
from ctloupe.rate.design import Design
from ctloupe.rate.ratings import Marks
from ctloupe.rate.report import write_results
from ctloupe.rate.significance import PairedTest, compare, holm


@dataclass(frozen=True)
class CriterionResult:
    """What was found for one criterion.

    Attributes
    ----------
    quartiles
        Lower quartile, median and upper quartile of the marks of each method, and their number.
    comparisons
        Test of every pair of methods.
    rank_sum_holm, signed_rank_holm
        p values of these tests after Holm's correction for all pairs and criteria.
    alpha, icc
        Agreement between raters: Krippendorff's α (ordinal) and ICC(2,1), over all items.
    intra_rater
        Agreement of each rater with himself: α (ordinal) of first and second showing; NaN without repeats.
    """

    quartiles: dict[str, tuple[float, float, float, int]]
    comparisons: list[PairedTest]
    rank_sum_holm: list[float]
    signed_rank_holm: list[float]
    alpha: float
    icc: float
    intra_rater: dict[str, float]


def analyse(design: Design, ratings: dict[str, Marks]) -> dict[str, CriterionResult]:
    """Analyse a study; only first showings are compared, repeats serve the agreement of raters with themselves."""
    compared = {name: _comparisons(design, marks.first) for name, marks in ratings.items()}
    every = [one for pairs in compared.values() for one in pairs]
    summed, signed = holm([one.rank_sum for one in every]), holm([one.signed_rank for one in every])
    results, at = {}, 0
    for name, marks in ratings.items():
        until = at + len(compared[name])
        by_item = marks.first.reshape(len(design.raters), -1)
        results[name] = CriterionResult(
            {method: _quartiles(marks.first[..., index]) for index, method in enumerate(design.methods)},
            compared[name],
            summed[at:until],
            signed[at:until],
            krippendorff_alpha(by_item),
            intraclass_correlation(by_item),
            {rater: _with_oneself(marks, number) for number, rater in enumerate(design.raters)},
        )
        at = until
    return results


def _comparisons(design: Design, marks: NDArray[np.float64]) -> list[PairedTest]:
    found = []
    for one, other in combinations(range(len(design.methods)), 2):
        a, b = marks[..., one].ravel(), marks[..., other].ravel()
        both = np.isfinite(a) & np.isfinite(b)
        if both.any():
            found.append(compare(design.methods[one], design.methods[other], a[both], b[both]))
    return found


def _quartiles(marks: NDArray[np.float64]) -> tuple[float, float, float, int]:
    given = marks[np.isfinite(marks)]
    if not given.size:
        return float("nan"), float("nan"), float("nan"), 0
    low, middle, high = np.percentile(given, [25, 50, 75])
    return float(low), float(middle), float(high), int(given.size)


def _with_oneself(marks: Marks, rater: int) -> float:
    first, second = marks.first[rater].ravel(), marks.second[rater].ravel()
    both = np.isfinite(first) & np.isfinite(second)
    return krippendorff_alpha(np.stack([first[both], second[both]])) if both.any() else float("nan")


def as_markdown(design: Design, results: dict[str, CriterionResult]) -> str:
    """Return the tables for people, with what the tests mean."""
    lines = [f"# {design.name}", "", RESEARCH_NOTICE, ""]
    for name, result in results.items():
        low, high = design.criteria[name]
        lines += [f"## {name} ({low} to {high})", "", "| method | marks | median | quartiles |", "|---|---|---|---|"]
        for method, (lower, middle, upper, count) in result.quartiles.items():
            lines.append(f"| {method} | {count} | {middle:g} | {lower:g} … {upper:g} |")
        lines += [
            "",
            "| pair | patches × raters | median difference | effect | signed rank p | Holm | rank sum p | Holm |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for one, summed, signed in zip(result.comparisons, result.rank_sum_holm, result.signed_rank_holm, strict=True):
            lines.append(
                f"| {one.one} − {one.other} | {one.pairs} | {one.difference:+g} | {one.effect:+.2f} | "
                f"{one.signed_rank:.3g} | {signed:.3g} | {one.rank_sum:.3g} | {summed:.3g} |"
            )
        within = ", ".join(f"{rater} {alpha:.2f}" for rater, alpha in result.intra_rater.items())
        lines += [
            "",
            f"Between raters: α {result.alpha:.2f}, ICC(2,1) {result.icc:.2f}. With oneself, α: {within}.",
            "",
        ]
    lines += [
        "The signed-rank test compares marks of the same patch by the same rater; the rank-sum test, as in ISBI 2021, "
        "does not use that they are paired. Marks of one rater on one patch are not independent of those on another, "
        "so p is too small when raters differ much. Effect: matched-pairs rank-biserial correlation. Holm: over all "
        "pairs and criteria.",
        "",
    ]
    return "\n".join(lines)


def write_analysis(
    design: Design,
    ratings: dict[str, Marks],
    folder: Path,
    overwrite: bool = False,
    inputs: Iterable[Path | None] = (),
) -> dict[str, Any]:
    """Write ``analysis.md``, ``analysis.json``, ``report.html`` and a box plot of each criterion to a new folder.

    Parameters
    ----------
    design, ratings
        The study, and its marks by criterion.
    folder
        Folder to make.
    overwrite
        Whether to replace what is there.
    inputs
        Files and folders that study and marks were read from; none may lie in `folder` or hold it.

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
    results = analyse(design, ratings)
    criteria = {name: asdict(result) for name, result in results.items()}
    content: dict[str, Any] = finite({"study": design.name, "notice": RESEARCH_NOTICE, "criteria": criteria})
    draw = {name: partial(_box_plot, design, name, marks.first) for name, marks in ratings.items()}
    write_results(design.name, as_markdown(design, results), content, draw, folder, overwrite)
    return content


def _box_plot(design: Design, name: str, marks: NDArray[np.float64], path: Path) -> None:
    from matplotlib.figure import Figure

    low, high = design.criteria[name]
    figure = Figure(figsize=(1.5 + 1.1 * len(design.methods), 3.6), layout="constrained")
    axes = figure.subplots()
    columns = [marks[..., index][np.isfinite(marks[..., index])] for index in range(len(design.methods))]
    axes.boxplot(columns, tick_labels=design.methods, widths=0.5, medianprops={"color": "black"})
    random = np.random.default_rng(0)
    for place, column in enumerate(columns, 1):
        across = place + random.uniform(-0.18, 0.18, column.size)
        axes.plot(across, column + random.uniform(-0.08, 0.08, column.size), ".", color="#4477aa", alpha=0.5, ms=4)
    axes.set_ylim(low - 0.3, high + 0.3)
    axes.set_ylabel(name)
    axes.set_title(f"{design.name}: {name}", fontsize=9)
    axes.tick_params(axis="x", rotation=20)
    figure.savefig(path, dpi=110)
