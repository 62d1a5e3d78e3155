"""One page about several studies: what agrees with the papers, what does not, and the tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctloupe.studies.claims import Finding, Verdict, findings
from ctloupe.studies.definition import Study, load_study, names
from ctloupe.studies.report import markdown_of
from ctloupe.studies.results import load_results, load_study_record, order_in_words, tables

_HEADINGS: dict[Verdict, str] = {
    "seen": "Seen, as in the papers",
    "the other way round": "Seen the other way round",
    "not decided": "Not decided",
}


def summary_of(folders: Sequence[Path]) -> str:
    """Return a page in Markdown about finished or unfinished studies.

    First what the papers say and whether our rows show it, then the agreement of orders, then every table.

    Parameters
    ----------
    folders
        Folders that ``ctloupe study run`` wrote.

    Raises
    ------
    FileError
        If one of them holds no study, or a result is damaged.
    """
    parts = ["## Summary"]
    made: list[tuple[Study, list[Finding]]] = []
    orders, bodies = [], []
    for folder in folders:
        study = _present(load_study_record(folder).study)
        found = tables(study, load_results(folder))
        made.append((study, findings(study, found)))
        for table in found:
            sentences = (order_in_words(table, metric) for metric in table.definitions)
            orders += [f"* {study.name}, {table.protocol}: {one}" for one in sentences if one is not None]
        bodies.append(_lowered(markdown_of(study, folder)))
    parts.append(_counted(made))
    for verdict, heading in _HEADINGS.items():
        lines = [
            f"* {study.name}, protocol {one.protocol.partition(',')[0]}: {one.in_words}."
            for study, all_ in made
            for one in all_
            if one.verdict == verdict
        ]
        parts += [f"### {heading}", "\n".join(lines) or "Nothing."]
    if orders:
        parts += ["### Orders of rows", "\n".join(orders)]
    missing = sorted(set(names()) - {study.name for study, _ in made})
    if missing:
        parts += ["### Never run", ", ".join(missing) + "."]
    return "\n\n".join([*parts, *bodies])


def _present(recorded: Study) -> Study:
    """Return the study as it is defined today, whose claims and notes may be better; its rows are those recorded."""
    if recorded.name not in names():
        return recorded
    now = load_study(recorded.name)
    return now if [row.key for row in now.rows] == [row.key for row in recorded.rows] else recorded


def _counted(made: Sequence[tuple[Study, list[Finding]]]) -> str:
    all_ = [one for _, found in made for one in found]
    counts = {verdict: sum(one.verdict == verdict for one in all_) for verdict in _HEADINGS}
    return (
        f"{len(all_)} times a sentence of a paper about two of its rows was held against numbers of ours: "
        f"{counts['seen']} times it is seen in every training, {counts['the other way round']} times the opposite is, "
        f"and {counts['not decided']} times the trainings overlap. A sentence is counted once for each protocol that "
        "has its metric."
    )


def _lowered(text: str) -> str:
    """Put the headings of a study's own page one level below the summary's, without the notice that ends it."""
    lines = text.rstrip().splitlines()[:-1]
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in lines).rstrip()
