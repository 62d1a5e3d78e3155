"""One page about several studies: what agrees with the papers, what does not, and a table of each protocol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ctloupe.studies.claims import Finding, Verdict, findings
from ctloupe.studies.columns import columns_by_key
from ctloupe.studies.definition import Study, load_study, names
from ctloupe.studies.report import introduction, markdown_table
from ctloupe.studies.results import Table, load_results, load_study_record, order_in_words, tables

_HEADINGS: Final[dict[Verdict, str]] = {
    "seen": "Seen, as in the papers",
    "the other way round": "Seen the other way round",
    "not decided": "Not decided",
}
_SHORT: Final = ("psnr_db", "ssim", "mae_hu", "resolution_mm", "mesh_db", "consistency_rms_hu")
"""Metrics that are shown of a table without numbers of a paper; the study's own report has all."""


@dataclass(frozen=True)
class _Sentence:
    """A claim of a paper, and what every protocol with its metric found of it."""

    study: str
    found: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """What all protocols say; where they differ, nothing is decided."""
        verdicts = {one.verdict for one in self.found}
        return verdicts.pop() if len(verdicts) == 1 else "not decided"

    @property
    def in_words(self) -> str:
        """The claim with the numbers of every protocol."""
        first = self.found[0]
        claim, alone = first.claim, min(one.trainings for one in self.found) == 1
        numbers = "; ".join(
            f"{one.protocol.partition(',')[0]}: {_spread(one.better)} against {_spread(one.worse)}"
            for one in self.found
        )
        trainings = "; one training a row" if alone and not first.protocol.startswith("cost,") else ""
        return (
            f"* {self.study}, {claim.better} before {claim.worse}: {claim.text} ({first.label}, {numbers}{trainings})."
        )


def summary_of(folders: Sequence[Path]) -> str:
    """Return a page in Markdown about finished or unfinished studies.

    First what the papers say and whether our rows show it, then the agreement of orders, then the tables of every
    study, of those without numbers of the paper a few columns.

    Parameters
    ----------
    folders
        Folders that ``ctloupe study run`` wrote.

    Raises
    ------
    FileError
        If one of them holds no study, or a result is damaged.
    """
    sentences: list[_Sentence] = []
    orders, bodies, made = [], [], set()
    for folder in folders:
        record, results = load_study_record(folder), load_results(folder)
        study = _present(record.study)
        made.add(study.name)
        found = tables(study, results)
        sentences += _sentences(study, found)
        orders += _orders(study, found)
        shown = [_shortened(table) for table in found if not table.protocol.endswith("by tissue")]
        bodies += [f"## {study.name}: {study.title}", *introduction(study, record, results)]
        for table in shown:
            bodies += [f"### {study.name}, protocol {table.protocol}", markdown_table(table)]
    parts = ["## Summary", _counted(sentences)]
    for verdict, heading in _HEADINGS.items():
        lines = [one.in_words for one in sentences if one.verdict == verdict]
        parts += [f"### {heading}", "\n".join(lines) or "Nothing."]
    if orders:
        parts += ["### Orders of rows", "\n".join(orders)]
    missing = sorted(set(names()) - made)
    if missing:
        parts += ["### Never run", ", ".join(missing) + "."]
    return "\n\n".join([*parts, *bodies])


def _sentences(study: Study, found: list[Table]) -> list[_Sentence]:
    all_ = findings(study, found)
    grouped = ([one for one in all_ if one.claim == claim] for claim in study.claims)
    return [_Sentence(study.name, tuple(group)) for group in grouped if group]


def _orders(study: Study, found: Iterable[Table]) -> list[str]:
    told = ((table, order_in_words(table, metric)) for table in found for metric in table.definitions)
    return [f"* {study.name}, {table.protocol}: {words}" for table, words in told if words is not None]


def _present(recorded: Study) -> Study:
    """Return the study as it is defined today, whose claims and notes may be better; its rows are those recorded."""
    if recorded.name not in names():
        return recorded
    now = load_study(recorded.name)
    return now if [row.key for row in now.rows] == [row.key for row in recorded.rows] else recorded


def _shortened(table: Table) -> Table:
    """Leave the columns that the paper has numbers for, or of other tables a few."""
    if any(line.paper for line in table.lines):
        return table
    columns = columns_by_key()
    wanted = {columns[key].label for key in _SHORT if key in columns}
    kept = {label: meaning for label, meaning in table.definitions.items() if label in wanted}
    return replace(table, definitions=kept or table.definitions)


def _counted(sentences: Sequence[_Sentence]) -> str:
    counts = {verdict: sum(one.verdict == verdict for one in sentences) for verdict in _HEADINGS}
    return (
        f"{len(sentences)} sentences of the papers about two of their rows were held against numbers of ours: "
        f"{counts['seen']} are seen in every training and by every protocol that has the metric, of "
        f"{counts['the other way round']} the opposite is, and {counts['not decided']} are not decided, since "
        "trainings overlap or protocols differ."
    )


def _spread(values: Sequence[float]) -> str:
    """The values, or from where to where they reach."""
    low, high = min(values), max(values)
    return f"{low:.4g}" if len(values) == 1 else f"{low:.4g} … {high:.4g}"
