"""Results of several cases and models in one table, with intervals; only of one protocol."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ctloupe.evaluate.comparison import BASELINE, Comparison, require_one_protocol
from ctloupe.evaluate.metrics.base import Better, finite_mean, off_ideal
from ctloupe.evaluate.suite.intervals import Interval, mean_interval
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.foreign_text import in_markdown

Cell = tuple[Interval, Interval]
"""Mean over cases, and mean of the paired difference to bicubic (of distances, where near an ideal is better)."""


@dataclass(frozen=True)
class Leaderboard:
    """One row a way of enhancing, bicubic first; the others as they were given.

    Attributes
    ----------
    protocol
        Name and version.
    cases
        Names of the cases; each counts once in every mean.
    definitions, better
        Meaning of each metric, and which values are better ones.
    rows
        Cells by row name and metric.
    limits
        What the truth itself reaches where a stated rule sets the limit, by metric.
    """

    protocol: str
    cases: tuple[str, ...]
    definitions: dict[str, str]
    better: dict[str, Better]
    rows: dict[str, dict[str, Cell]]
    limits: dict[str, Interval]

    def texts(self, metrics: Sequence[str] = ()) -> tuple[list[str], list[list[str]]]:
        """Head and rows as texts: mean [interval], and a mark where the difference to bicubic excludes 0."""
        shown = [metric for metric in (metrics or self.definitions) if metric in self.definitions]
        body = [[name, *(self._cell(name, metric) for metric in shown)] for name in self.rows]
        if any(metric in self.limits for metric in shown):
            body.append(["(the truth by the same rule)", *(_number(self.limits.get(metric)) for metric in shown)])
        return ["row", *shown], body

    def _cell(self, name: str, metric: str) -> str:
        if metric not in self.rows[name]:
            return "–"
        value, difference = self.rows[name][metric]
        text = _number(value)
        if np.isfinite(value.low):
            text += f" [{_short(value.low)}, {_short(value.high)}]"
        if name == BASELINE or not difference.excludes_zero:
            return text
        return f"{text} {'▲' if self._is_better(metric, name) else '▼'}"

    def _is_better(self, metric: str, name: str) -> bool:
        return (self.rows[name][metric][1].mean > 0) == (self.better.get(metric) == "more")

    def plain(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        rows = {
            name: {metric: {"mean": asdict(value), "difference": asdict(off)} for metric, (value, off) in cells.items()}
            for name, cells in self.rows.items()
        }
        return {"protocol": self.protocol, "cases": list(self.cases), "definitions": self.definitions, "rows": rows}

    def csv(self) -> str:
        """One line a row and metric: what other programs read."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        differences = ["difference", "difference_low", "difference_high"]
        writer.writerow(["protocol", "row", "metric", "cases", "mean", "low", "high", *differences])
        for name, cells in self.rows.items():
            for metric, (value, off) in cells.items():
                numbers = [value.mean, value.low, value.high, off.mean, off.low, off.high]
                writer.writerow([self.protocol, name, metric, value.cases, *(f"{number:.6g}" for number in numbers)])
        return stream.getvalue()

    def markdown(self, metrics: Sequence[str] = ()) -> str:
        """The table in Markdown."""
        head, body = self.texts(metrics)
        head, body = [in_markdown(one) for one in head], [[in_markdown(row[0]), *row[1:]] for row in body]
        lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in body)])


LEGEND = (
    "Each cell is the mean over cases with its 95% bootstrap interval. ▲ and ▼: better and worse than bicubic, where "
    "the interval of the paired difference leaves out 0."
)


def leaderboard(found: Mapping[str, Comparison]) -> Leaderboard:
    """Gather results into one table.

    Parameters
    ----------
    found
        Results by case; seeds are averaged before (`mean_of_seeds`), results of one case joined (`by_case`).

    Raises
    ------
    OptionError
        If there is none, they are of different protocols, or a row is missing in a case.
    """
    if not found:
        raise OptionError("no result to compare")
    require_one_protocol(found)
    first = next(iter(found.values()))
    names = list(dict.fromkeys([BASELINE, *(name for one in found.values() for name in one.rows)]))
    for case, one in found.items():
        missing = [name for name in names if name not in one.rows]
        if missing:
            raise OptionError(
                f"{case} has no row '{missing[0]}', which other cases have; a mean over other cases would not be "
                "comparable: measure it there too, or leave it out"
            )
    definitions = {metric: text for one in found.values() for metric, text in one.definitions.items()}
    better: dict[str, Better] = {metric: way for one in found.values() for metric, way in one.better.items()}
    rows = {
        name: {metric: _cell(found, name, metric, better.get(metric, "more")) for metric in definitions}
        for name in names
    }
    limits = {
        metric: mean_interval([one.limits.get(metric, np.nan) for one in found.values()])
        for metric in definitions
        if any(metric in one.limits for one in found.values())
    }
    return Leaderboard(first.protocol, tuple(found), definitions, better, rows, limits)


def _cell(found: Mapping[str, Comparison], name: str, metric: str, better: Better) -> Cell:
    values, plain = (
        np.array([one.rows[row].get(metric, np.nan) for one in found.values()]) for row in (name, BASELINE)
    )
    ideal = [one.best(metric) for one in found.values()]
    with np.errstate(invalid="ignore"):
        off = off_ideal(better, values, ideal) - off_ideal(better, plain, ideal)
    return mean_interval(values), mean_interval(off)


def mean_of_seeds(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of the rows of a model's seeds, metric by metric; what is not finite is left out."""
    metrics = dict.fromkeys(metric for row in rows for metric in row)
    return {metric: finite_mean([row.get(metric, np.nan) for row in rows]) for metric in metrics}


def by_case(found: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """Join results of one scan, so that models measured apart stand in one table.

    Parameters
    ----------
    found
        Results by name; those with equal data digests are one case and must agree on bicubic.

    Raises
    ------
    OptionError
        If they are of different protocols, or two rows of one case have one name and other numbers.
    """
    require_one_protocol(found)
    cases: dict[tuple[tuple[str, str], ...], tuple[str, Comparison]] = {}
    for name, one in found.items():
        key = tuple(sorted(one.data.items()))
        if key not in cases:
            cases[key] = (name, one)
            continue
        first, known = cases[key]
        for row in set(known.rows) & set(one.rows):
            shared = set(known.rows[row]) & set(one.rows[row])
            if any(not np.isclose(known.rows[row][m], one.rows[row][m], equal_nan=True) for m in shared):
                raise OptionError(
                    f"{name} and {first} are of the same scan and both have a row '{row}' with other numbers; "
                    "name one of them otherwise"
                )
        cases[key] = (first, _joined(known, one))
    return dict(cases.values())


def _joined(one: Comparison, other: Comparison) -> Comparison:
    return replace(one, rows=one.rows | other.rows, models=one.models | other.models, limits=one.limits | other.limits)


def _short(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


def _number(value: Interval | None) -> str:
    return "" if value is None else "–" if np.isnan(value.mean) else _short(value.mean)
