"""The report of a study: CSV, Markdown and one HTML page, with the paper's numbers in columns of their own."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, FiniteFloat

from ctloupe.evaluate.report.page import display_of
from ctloupe.evaluate.report.pictures import View, panel
from ctloupe.evaluate.report.pictures import in_words as pictured
from ctloupe.evaluate.report.report import Report
from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.foundation.records import load_record
from ctloupe.studies.claims import findings
from ctloupe.studies.definition import Study
from ctloupe.studies.results import (
    Line,
    StudyRecord,
    Table,
    load_results,
    load_study_record,
    order_in_words,
    tables,
)

NOT_COMPARABLE = {
    False: "Our numbers were measured on simulated phantoms, the paper's on its own patients and specimens: only the "
    "order of the rows may be compared, never the numbers.",
    True: "Our numbers were measured on other volumes than the paper's: only the order of the rows may be compared, "
    "never the numbers.",
}
"""What is said of the paper's numbers, by whether the volumes are the user's own."""


def write_report(study: Study, out: Path) -> Path:
    """Write ``table.csv``, ``table.md`` and ``report.html`` of what there is in a study's folder.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    FileError
        If there is no study, or it cannot be written.
    """
    results = load_results(out)
    record = load_study_record(out)
    found = tables(study, results)
    _write(out / "table.csv", _csv(found))
    _write(out / "table.md", _markdown(study, record, found, results))
    page = Report(f"Study {study.name}: {study.title}")
    _add_pictures(page, study, out)
    page.section("What was done")
    for paragraph in introduction(study, record, results):
        page.text(paragraph)
    for table in found:
        page.section(f"Protocol {table.protocol}")
        page.table(*_texts(table), "Mean over seeds ± standard deviation; – where there is no number yet.")
        for sentence in [*_failures(table), *_orders(table), *_claims(study, table)]:
            page.text(sentence.replace("**", ""))
        page.terms(table.definitions)
    page.write(out / "report.html")
    return out / "report.html"


def introduction(study: Study, record: StudyRecord, results: dict[tuple[str, int], dict[str, Any]]) -> list[str]:
    """Say in a few paragraphs what a study did, and what a reader must know of it."""
    budget = record.budget
    given = "the epochs of its preset"
    if budget.steps or budget.minutes:
        given = f"{budget.steps} steps" if budget.steps else f"{budget.minutes:g} minutes"
    trained = [one for one in results.values() if one.get("machine")]
    machines = {
        f"{one['machine']['cores']} cores, {one['machine']['threads']} threads, device {one['device']}, "
        f"precision {one['precision']}"
        for one in trained
    }
    trained_how = f"Each training took {given}."
    if study.protocols == ("cost",):
        trained_how = "Steps were timed, and nothing was trained to its end."
    lines = [
        f"{study.title} ({study.reference}), scale {record.scale}: ×{study.enlargement}, {_data_in_words(record)}, "
        f"{budget.per_case} patches each. {trained_how} Machine: "
        f"{'; '.join(sorted(machines)) or 'not recorded'}.",
        NOT_COMPARABLE[record.volumes is not None]
        if any(row.paper for row in study.rows)
        else "The paper has no numbers for these rows.",
    ]
    if record.volumes is not None:
        lines += _truths_in_words(record.volumes)
    done = {name for one in results.values() for name in one.get("protocols", {})}
    if not done:
        lines += [
            f"Row {key} failed, seed {seed}: {one.get('message', 'no message')}."
            for (key, seed), one in sorted(results.items())
            if one.get("state") == "failed"
        ]
    missing = [name for name in study.protocols if name != "cost" and name not in done]
    if done and missing:
        lines.append(f"Not measured, since the volumes do not allow it: protocol {', '.join(missing)}.")
    return lines + ([study.note] if study.note else [])


def _truths_in_words(volumes: dict[str, Any]) -> list[str]:
    """Say it where some of the test scans have a truth, and others have none."""
    test = volumes["clinical"]["test"]
    known = sum(isinstance(one, dict) and bool(one.get("truth")) for one in test)
    if not 0 < known < len(test):
        return []
    return [f"{known} of the {len(test)} test scans have a truth; what is measured against one is of these alone."]


def _data_in_words(record: StudyRecord) -> str:
    """Say how many volumes of what kind there were."""
    budget = record.budget
    if record.volumes is None:
        size = "×".join(map(str, budget.size))
        one_set = record.study.recipe(record.scale).reduced is not None
        training = (
            f"CTs of {budget.cases} phantoms and their reduced copies"
            if one_set
            else f"{budget.cases} clinical and {budget.micro_cases or budget.cases} other µCT phantoms"
        )
        return f"{training} of {size} fine voxels, {budget.test_cases} held out"
    counts = {
        f"{kind} {use}": len(record.volumes[kind][use])
        for kind in ("clinical", "micro")
        for use in ("training", "test")
    }
    told = ", ".join(f"{name.replace('micro', 'µCT')}: {count}" for name, count in counts.items())
    return f"volumes of the user's own ({told}; a folder counts once)"


def _texts(table: Table) -> tuple[list[str], list[list[str]]]:
    metrics = list(table.definitions)
    stated = [metric for metric in metrics if any(metric in line.paper for line in table.lines)]
    timed = any(line.steps is not None for line in table.lines)
    head = ["row", "in words", *metrics, *(f"{metric}, paper" for metric in stated)]
    head += ["steps", "seconds"] if timed else []
    rows = []
    for line in table.lines:
        cells = [_cell(line, metric) for metric in metrics]
        cells += [_number(line.paper[metric]) if metric in line.paper else "" for metric in stated]
        if timed:
            cells += ["" if value is None else f"{value:.0f}" for value in (line.steps, line.seconds)]
        rows.append([line.key, line.label, *cells])
    return head, rows


def _cell(line: Line, metric: str) -> str:
    values = [value for value in line.values.get(metric, []) if np.isfinite(value)]
    if not values:
        return "failed" if line.failed else "–"
    text = _number(float(np.mean(values)))
    if len(values) > 1:
        text += f" ± {_number(float(np.std(values, ddof=1)))}"
    return f"{text} (1 seed failed)" if line.failed else text


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"


def _failures(table: Table) -> list[str]:
    return [f"Row {line.key} failed: {line.failed}." for line in table.lines if line.failed]


def _orders(table: Table) -> list[str]:
    found = (order_in_words(table, metric) for metric in table.definitions)
    return [sentence for sentence in found if sentence is not None]


def _claims(study: Study, table: Table) -> list[str]:
    return [f"The paper: {one.in_words}" for one in findings(study, [table])]


def _markdown(
    study: Study, record: StudyRecord, found: list[Table], results: dict[tuple[str, int], dict[str, Any]]
) -> str:
    parts = [f"# {study.name}: {study.title}", *introduction(study, record, results)]
    for table in found:
        parts += [f"## Protocol {table.protocol}", markdown_table(table), *_failures(table), *_orders(table)]
        said = _claims(study, table)
        parts += ["\n".join(f"* {sentence}." for sentence in said)] if said else []
        parts.append("\n".join(f"* {metric}: {meaning}" for metric, meaning in table.definitions.items()))
    return "\n\n".join([*parts, RESEARCH_NOTICE]) + "\n"


def markdown_table(table: Table) -> str:
    """Return a table in Markdown, with the paper's numbers in columns of their own."""
    head, rows = _texts(table)
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows])


def _csv(found: list[Table]) -> str:
    """One line a row, metric and seed: what other programs read."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["protocol", "row", "label", "metric", "seed", "value", "paper", "failed"])
    for table in found:
        for line in table.lines:
            for metric in table.definitions:
                paper = line.paper.get(metric, "")
                values = line.values.get(metric, [])
                for seed, value in enumerate(values):
                    writer.writerow([table.protocol, line.key, line.label, metric, seed, f"{value:.6g}", paper, ""])
                if not values:
                    writer.writerow([table.protocol, line.key, line.label, metric, "", "", paper, line.failed])
    return stream.getvalue()


_WITHOUT = "delete the folder of pictures to have a report without them"


class _PictureRecord(BaseModel):
    """What is read back of the record of pictures."""

    clinical_mm: tuple[Annotated[FiniteFloat, Field(gt=0)], Annotated[FiniteFloat, Field(gt=0)]]


def kept_spacing(study: Path) -> tuple[float, float]:
    """Pixel size (y, x) in mm of the scan's square that a study has kept."""
    return load_record(study / "pictures" / "_spacing.json", _PictureRecord, "record of pictures", _WITHOUT).clinical_mm


def kept_picture(path: Path) -> NDArray[Any]:
    """Square in HU that a study has kept.

    Raises
    ------
    FileError
        If it is not readable.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileError(f"{path}: not a readable picture ({str(error).splitlines()[0]}); {_WITHOUT}") from error
    if not isinstance(found, np.ndarray) or found.ndim != 2 or not found.size:
        raise FileError(f"{path}: not a picture of rows and columns; {_WITHOUT}")
    return found


def _add_pictures(page: Report, study: Study, out: Path) -> None:
    folder = out / "pictures"
    if not (folder / "_scan.npy").is_file():
        return
    scan = kept_picture(folder / "_scan.npy")
    y, x = kept_spacing(out)
    scale = study.enlargement
    window = display_of(scan)
    views = [View("scan", scan, (y, x), window)]
    for key in ["bicubic", *(row.same_as or row.key for row in study.rows), "_truth"]:
        path = folder / f"{key}.npy"
        name = "truth" if key == "_truth" else key
        if path.is_file() and name not in [view.caption for view in views]:
            views.append(View(name, kept_picture(path), (y / scale, x / scale), window))
    page.section("The same patch, row by row")
    page.figure(
        panel(views, rows=-(-len(views) // 5)),
        "Where the held-out scan varies most; first seed.",
        pictured(views),
    )


def _write(path: Path, text: str) -> None:
    with replacing(path, overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")
