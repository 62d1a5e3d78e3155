"""A comparison said in words, so that a reader need not know the metrics to know the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from ctloupe.evaluate.comparison import BASELINE, Comparison
from ctloupe.evaluate.metrics.base import Metric
from ctloupe.evaluate.metrics.questions import QUESTIONS
from ctloupe.evaluate.protocols.registry import metrics_by_label
from ctloupe.evaluate.tissues import TissueError

_EQUAL: Final = 5e-3


def in_words(comparison: Comparison, name: str) -> list[str]:
    """One sentence for each question that was asked: how `name` compares with bicubic interpolation."""
    known = metrics_by_label()
    spoken = [known[label] for label in comparison.definitions if label in known and known[label].in_summary]
    said = []
    for question in QUESTIONS:
        parts = [_verdict(comparison, name, metric) for metric in spoken if metric.question == question]
        if parts:
            said.append(f"{question.text}: {'; '.join(parts)}.")
    return said


def _verdict(comparison: Comparison, name: str, metric: Metric) -> str:
    label = metric.label
    ours, plain = (comparison.rows[row].get(label, float("nan")) for row in (name, BASELINE))
    if not (np.isfinite(ours) and np.isfinite(plain)):
        return f"{label} {ours:.3g} (bicubic {plain:.3g})"
    one, other = (abs(ours), abs(plain)) if metric.better == "near 0" else (ours, plain)
    if np.isclose(one, other, rtol=_EQUAL):
        verdict = "as good as"
    else:
        verdict = "better than" if metric.prefers(ours, plain) else "worse than"
    return f"{label} {ours:.3g}, {verdict} bicubic ({plain:.3g})"


def tissues_in_words(tissues: Mapping[str, TissueError], name: str) -> str:
    """One sentence that says in which tissues `name` is nearer to the truth than bicubic interpolation."""
    nearer = [tissue for tissue, one in tissues.items() if one.mae_hu[name] < one.mae_hu[BASELINE]]
    farther = [tissue for tissue in tissues if tissue not in nearer]
    return (
        f"Mean absolute error against the truth, {name} compared with bicubic: "
        f"smaller in {', '.join(nearer) or 'no tissue'}; larger in {', '.join(farther) or 'no tissue'}."
    )


HOW_TO_READ: Final = (
    "How to read this. PSNR, SSIM and MAE reward an image for being right on average, voxel by voxel, and a smooth "
    "image is hard to beat there. Spectrum and texture distances reward an image for looking like µCT, wherever its "
    "detail lies; an image can win them with invented detail. Resolution, and structures found, invented and lost, "
    "tell which detail is true. No single row is enough, and a method that wins texture but invents structures must "
    "not be read for structures."
)
