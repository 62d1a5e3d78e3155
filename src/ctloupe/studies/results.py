"""The results of a study on disk, gathered into one table a protocol."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.stats import kendalltau

from ctloupe.evaluate.metrics.base import Better
from ctloupe.foundation.records import load_record
from ctloupe.studies.columns import COST, numbers_by_label, tissue_error
from ctloupe.studies.definition import Effort, Scale, Study

RESULTS = "results"
_ADVICE = "give the folder of a 'ctloupe study run'"
_DAMAGED = "delete it and run the study with `resume`"


class StudyRecord(BaseModel):
    """What a study's folder was begun with: the content of ``study.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    study: Study
    scale: Scale
    budget: Effort
    volumes: dict[str, Any] | None = None
    """The user's own volumes; None: phantoms."""


class ResultRecord(BaseModel):
    """What was found of one row and seed: the content of a file of results, with whatever else was measured."""

    model_config = ConfigDict(extra="allow", frozen=True)

    row: str
    seed: int
    state: Literal["done", "failed"]


def study_path(out: Path) -> Path:
    """Return the file that says which study the folder `out` holds."""
    return out / "study.json"


def load_study_record(out: Path) -> StudyRecord:
    """Read what the study in the folder `out` was begun with.

    Raises
    ------
    FileError
        If there is no study, or its record is damaged.
    """
    return load_record(study_path(out), StudyRecord, "study", _ADVICE)


def result_path(out: Path, key: str, seed: int) -> Path:
    """Return the file of one row and seed."""
    return out / RESULTS / f"{key}-seed-{seed}.json"


@dataclass(frozen=True)
class Line:
    """One row of a table.

    Attributes
    ----------
    key, label
        Short and long name of the row.
    values
        Numbers by metric, one for each seed.
    paper
        The paper's numbers by metric.
    failed
        Message of the first seed that failed, or nothing.
    steps, seconds
        Steps and seconds of the training, as means over the seeds; None where nothing was trained.
    same_as
        Key of the row that this one repeats; None for one of its own.
    """

    key: str
    label: str
    values: dict[str, list[float]] = field(default_factory=dict)
    paper: dict[str, float] = field(default_factory=dict)
    failed: str = ""
    steps: float | None = None
    seconds: float | None = None
    same_as: str | None = None


@dataclass(frozen=True)
class Table:
    """Everything that one protocol found.

    Attributes
    ----------
    protocol
        Name and version of the protocol.
    definitions
        One sentence for each metric.
    better
        Which values of each metric are better ones.
    lines
        Rows of the table, bicubic first.
    """

    protocol: str
    definitions: dict[str, str]
    better: dict[str, Better]
    lines: list[Line]


def load_results(out: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Read every result in a study's folder, by row and seed.

    Raises
    ------
    FileError
        If there is no study, or a result is damaged.
    """
    load_study_record(out)
    found = {}
    for path in sorted((out / RESULTS).glob("*.json")):
        result = load_record(path, ResultRecord, "result of a study", _DAMAGED)
        found[result.row, result.seed] = result.model_dump()
    return found


def tables(study: Study, results: dict[tuple[str, int], dict[str, Any]]) -> list[Table]:
    """Gather results into one table a protocol; numbers of different protocols never meet in one."""
    found = []
    for protocol in study.protocols:
        if protocol == "cost":
            found.append(
                _table(
                    study,
                    results,
                    "cost, version 1",
                    {column.label: column.meaning for column in COST},
                    {column.label: column.better for column in COST},
                    lambda result: result.get("cost"),
                )
            )
            continue

        def rows_of(result: dict[str, Any], name: str = protocol) -> dict[str, float] | None:
            one = result.get("protocols", {}).get(name)
            return None if one is None else one["rows"].get(result["row"])

        done = [one["protocols"][protocol] for one in results.values() if protocol in one.get("protocols", {})]
        if not done:
            continue
        found.append(
            _table(study, results, done[0]["protocol"], done[0]["definitions"], done[0].get("better", {}), rows_of)
        )
        if any("tissues" in one for one in done):
            errors = [tissue_error(name) for name in next(one for one in done if "tissues" in one)["tissues"]]

            def by_tissue(result: dict[str, Any], name: str = protocol) -> dict[str, float] | None:
                one = result.get("protocols", {}).get(name, {}).get("tissues")
                key = result["row"]
                return one and {tissue_error(tissue).label: by_row[key] for tissue, by_row in one.items()}

            found.append(
                _table(
                    study,
                    results,
                    f"{done[0]['protocol']}, by tissue",
                    {column.label: column.meaning for column in errors},
                    {column.label: column.better for column in errors},
                    by_tissue,
                )
            )
    return found


def _table(
    study: Study, results: Any, title: str, definitions: dict[str, str], better: dict[str, Better], read: Any
) -> Table:
    lines = [_line("bicubic", "bicubic", {}, [r for (key, _), r in results.items() if key == "bicubic"], read)]
    for row in study.rows:
        source = row.same_as or row.key
        own = [result for (key, _), result in sorted(results.items(), key=lambda one: one[0][1]) if key == source]
        stated = numbers_by_label(row.paper, row.key)
        paper = {metric: value for metric, value in stated.items() if metric in definitions}
        label = f"{row.label} (= {row.same_as})" if row.same_as else row.label
        lines.append(replace(_line(row.key, label, paper, own, read), same_as=row.same_as))
    return Table(title, definitions, better, lines)


def _line(key: str, label: str, paper: dict[str, float], results: list[dict[str, Any]], read: Any) -> Line:
    values: dict[str, list[float]] = {}
    failed = ""
    for result in results:
        if result["state"] == "failed":
            failed = failed or result["message"]
            continue
        for metric, value in (read(result) or {}).items():
            # JSON has no NaN: what could not be measured was kept as null.
            values.setdefault(metric, []).append(float("nan") if value is None else float(value))
    done = [result for result in results if result["state"] == "done" and "steps" in result]
    steps = float(np.mean([one["steps"] for one in done])) if done else None
    seconds = float(np.mean([one["seconds"] for one in done])) if done else None
    return Line(key, label, values, paper, failed, steps, seconds)


def order_in_words(table: Table, metric: str) -> str | None:
    """Say how the order of the rows agrees with the paper's, where the paper has numbers for at least three.

    Kendall's τ is 1 for the same order, −1 for the opposite one; p is how often orders that have nothing to do with
    each other agree or disagree as much. Rows that are the same network count once.
    """
    both = [
        (line.key, line.paper[metric], float(np.mean(line.values[metric])))
        for line in table.lines
        if line.same_as is None and metric in line.paper and line.values.get(metric)
    ]
    if len(both) < 3:
        return None
    found = kendalltau([one[1] for one in both], [one[2] for one in both])
    lower = table.better.get(metric) == "less"
    ours, theirs = (
        [key for key, *_ in sorted(both, key=lambda one: one[which], reverse=not lower)] for which in (2, 1)
    )
    return (
        f"{metric}, best first: ours {', '.join(ours)}; the paper's {', '.join(theirs)}. "
        f"Agreement of the order, Kendall's τ = {float(found.statistic):+.2f} over {len(both)} rows "
        f"(p = {float(found.pvalue):.2g})."
    )
