"""One case from volumes to numbers and page: with truth or without, by the protocol that fits what is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.alignment import with_baseline
from ctloupe.evaluate.case_scanner import CaseScanner
from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.metrics.calibration import Judgement
from ctloupe.evaluate.metrics.texture import Unpaired
from ctloupe.evaluate.protocols.no_truth import compare_without_truth
from ctloupe.evaluate.protocols.paired_micro import compare_with_micro
from ctloupe.evaluate.protocols.paired_phantom import compare_with_truth
from ctloupe.evaluate.report.invented import add_invented, invented_share
from ctloupe.evaluate.report.page import (
    Shown,
    add_curves,
    add_details,
    add_overview,
    add_result,
    add_sizes,
    add_tissues,
    add_uncertainty,
)
from ctloupe.evaluate.report.report import Report
from ctloupe.evaluate.report.words import tissues_in_words
from ctloupe.evaluate.tissues import tissue_errors
from ctloupe.evaluate.uncertainty import sample_errors
from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomies.registry import tissue_names
from ctloupe.volume.volume import Volume


@dataclass(frozen=True)
class Case:
    """What is known of one scan and its enhancements.

    Attributes
    ----------
    scan
        The clinical CT, or the part of it that was enhanced.
    enhanced
        The enhanced volumes, by row name.
    truth, labels
        Truth and labels on the enhanced grid, when known.
    thick_truth
        The truth averaged over the slices of the scan, when `truth` is thinner.
    micro_truth
        The truth as the µCT shows it, in HU, where it was scanned.
    mask
        Where to compare, on the grid of the scan; None: everywhere.
    deviation
        Standard deviation of the last row.
    invented
        Map of how much of the last row the scan leaves to the prior, 0 to 1.
    factors
        Recalibration of that deviation by label number, fitted on another case.
    unpaired
        Texture of a µCT.
    warnings
        What a reader has to know of the model and this scan.
    models
        What made the volumes, by name; kept in the record.
    scanner
        What made the scan of a real µCT; None: the scan was made otherwise.
    corner : (z, y, x)
        Index in the whole scan of the first voxel of `scan`, where that is a part.
    """

    scan: Volume
    enhanced: dict[str, Volume]
    truth: Volume | None = None
    labels: Volume | None = None
    mask: NDArray[np.bool_] | None = None
    deviation: Volume | None = None
    factors: Mapping[int, float] = field(default_factory=dict)
    unpaired: Unpaired | None = None
    warnings: tuple[str, ...] = ()
    models: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    thick_truth: Volume | None = None
    scanner: CaseScanner | None = None
    invented: Volume | None = None
    micro_truth: Volume | None = None
    corner: tuple[int, int, int] = (0, 0, 0)


def evaluate_case(case: Case, title: str) -> tuple[Comparison, Report]:
    """Measure a case and write its page.

    Raises
    ------
    OptionError, GeometryError
        If volumes are missing or do not belong together.
    """
    if case.truth is None and (case.labels is not None or case.deviation is not None):
        raise OptionError("`labels` and `uncertainty` need `truth`: only errors can say what they are worth")
    if case.truth is None:
        found = compare_without_truth(case.scan, case.enhanced, case.mask, case.unpaired)
    elif case.scanner is not None:
        of_micro = case.truth, case.scanner, case.mask, case.unpaired, case.thick_truth
        found = compare_with_micro(case.scan, case.enhanced, *of_micro)
    else:
        known = case.truth, case.mask, case.labels, case.unpaired, case.thick_truth, case.micro_truth
        found = compare_with_truth(case.scan, case.enhanced, *known)
    made = {
        name: found.models.get(name, {}) | dict(case.models.get(name, {})) for name in (*found.models, *case.models)
    }
    found = replace(found, facts=found.facts | {"warnings": list(case.warnings)}, models=made)
    scale = found.facts["scale"]
    rows = with_baseline(case.scan, case.enhanced, scale)
    shown = Shown(case.scan, rows, case.truth, case.mask, case.deviation, warnings=case.warnings, corner=case.corner)
    report = Report(f"{title}, protocol {found.protocol}")
    add_overview(report, shown)
    add_result(report, found)
    if case.truth is not None and case.labels is not None:
        _add_tissues(report, case.truth, case.labels, rows)
        add_sizes(report, found)
    add_details(report, shown)
    add_curves(report, found)
    if case.invented is not None:
        share = invented_share(case.invented, list(rows.values())[-1], case.mask)
        add_invented(report, shown, case.invented, share)
        found = replace(found, facts=found.facts | {"invented": share.plain()})
    if case.truth is not None and case.deviation is not None:
        judged = _add_uncertainty(report, case, case.truth, case.deviation, scale)
        found = replace(found, facts=found.facts | {name: one.plain() for name, one in judged.items()})
    return found, report


def _add_tissues(report: Report, truth: Volume, labels: Volume, rows: dict[str, Volume]) -> None:
    tissues = tissue_errors(rows, truth, labels, tissue_names())
    report.section("By tissue")
    for name in list(rows)[1:]:
        report.text(tissues_in_words(tissues, name))
    add_tissues(report, tissues)


def _add_uncertainty(report: Report, case: Case, truth: Volume, deviation: Volume, scale: int) -> dict[str, Judgement]:
    """Judge the uncertainty as given and, with factors, recalibrated."""
    enhanced = list(case.enhanced.values())[-1]
    sample = sample_errors(enhanced, deviation, truth, case.mask, scale, case.labels)
    judged = sample.judged()
    again = sample.recalibrated(dict(case.factors)).judged() if case.factors else None
    add_uncertainty(report, judged, again, tissue_names() if case.labels is not None else {})
    return {"uncertainty": judged} | ({"uncertainty recalibrated": again} if again is not None else {})
