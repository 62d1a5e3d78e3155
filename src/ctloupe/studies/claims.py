"""Whether what a paper says of two rows is seen in ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ctloupe.studies.columns import columns_by_key
from ctloupe.studies.definition import Claim, Study
from ctloupe.studies.results import Table

Verdict = Literal["seen", "the other way round", "not decided"]


@dataclass(frozen=True)
class Finding:
    """What our numbers say of a claim.

    Attributes
    ----------
    claim
        The claim.
    protocol
        Name and version of the protocol of the numbers.
    verdict
        ``seen`` where every training of the better row is ahead of every one of the other, ``the other way round``
        where it is behind, and ``not decided`` where they overlap, or where there is one training of a row alone, which
        tells nothing of how much trainings differ.
    better, worse
        Our numbers of both rows, one for each seed.
    label
        The metric as tables have it.
    """

    claim: Claim
    protocol: str
    verdict: Verdict
    better: tuple[float, ...]
    worse: tuple[float, ...]
    label: str

    @property
    def trainings(self) -> int:
        """Number of trainings of each row, of the one that has fewer."""
        return min(len(self.better), len(self.worse))

    @property
    def in_words(self) -> str:
        """The finding in one sentence."""
        first, second = (f"{float(np.mean(values)):.4g}" for values in (self.better, self.worse))
        told = {
            "seen": "seen",
            "the other way round": "**the other way round**",
            "not decided": "not decided",
        }[self.verdict]
        seeds = self.trainings
        count = "one training" if seeds == 1 else f"{seeds} trainings"
        return (
            f"{self.claim.text}: {told} ({self.claim.better} {first}, {self.claim.worse} {second}, {self.label}; "
            f"{count} a row)"
        )


def findings(study: Study, found: list[Table]) -> list[Finding]:
    """Hold every claim of a study's paper against every table that has its metric.

    Parameters
    ----------
    study
        The study, with its claims.
    found
        Its tables.

    Returns
    -------
    list of Finding
        A claim of whose rows one was not measured is left out.
    """
    columns = columns_by_key()
    made = []
    for claim in study.claims:
        label = columns[claim.metric].label
        for table in found:
            if label not in table.definitions:
                continue
            lines = {line.key: line for line in table.lines}
            better, worse = (_known(lines[key].values.get(label, [])) for key in (claim.better, claim.worse))
            if better and worse:
                sign = -1.0 if table.better.get(label) == "less" else 1.0
                verdict = _verdict([sign * one for one in better], [sign * one for one in worse])
                if min(len(better), len(worse)) == 1 and not table.protocol.startswith("cost,"):
                    verdict = "not decided"
                made.append(Finding(claim, table.protocol, verdict, better, worse, label))
    return made


def _known(values: list[float]) -> tuple[float, ...]:
    return tuple(value for value in values if np.isfinite(value))


def _verdict(better: list[float], worse: list[float]) -> Verdict:
    """Compare numbers of which more is better."""
    if min(better) > max(worse):
        return "seen"
    return "the other way round" if max(better) < min(worse) else "not decided"
