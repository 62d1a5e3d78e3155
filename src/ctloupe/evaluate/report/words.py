"""A comparison said in words, so that a reader need not know the metrics to know the answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import numpy as np

from ctloupe.evaluate.comparison import BASELINE, Comparison
from ctloupe.evaluate.metrics.base import Metric, off_ideal
from ctloupe.evaluate.metrics.questions import (
    ANY_DETAIL,
    QUESTIONS,
    RIGHT_VALUE,
    STRUCTURES_FOUND,
    STRUCTURES_INVENTED,
    STRUCTURES_LOST,
    TEXTURE,
    TRUE_DETAIL,
    Question,
)
from ctloupe.evaluate.protocols.registry import metrics_by_label
from ctloupe.evaluate.tissues import TissueError

_EQUAL: Final = 5e-3
_MIXED: Final = "better in some numbers, worse in others"


Verdict = Literal["better", "worse", "as good"]


def in_short(comparison: Comparison, name: str) -> str:
    """One sentence: at which questions `name` is better, worse or mixed, compared with bicubic interpolation."""
    found: dict[str, list[str]] = {
        "better": [],
        "worse": [],
        _MIXED: [],
        "equal": [],
    }
    for question, metrics in _asked(comparison).items():
        verdicts = {_compared(comparison, name, metric) for metric in metrics} - {None}
        if {"better", "worse"} <= verdicts:
            found[_MIXED].append(_begun(question))
        elif verdicts:
            found[next((one for one in ("better", "worse") if one in verdicts), "equal")].append(_begun(question))
    said = "; ".join(f"{verdict} at: {', '.join(questions)}" for verdict, questions in found.items() if questions)
    return f"{name}, compared with bicubic interpolation, is {said}." if said else f"{name}: nothing could be measured."


def in_words(comparison: Comparison, name: str) -> list[str]:
    """One sentence for each question that was asked: how `name` compares with bicubic interpolation."""
    said = []
    for question, metrics in _asked(comparison).items():
        parts = [part for metric in metrics if (part := _said(comparison, name, metric))]
        if parts:
            said.append(f"{question.text}: {'; '.join(parts)}.")
    return said


def _asked(comparison: Comparison) -> dict[Question, list[Metric]]:
    """Metrics of the comparison by the question that they answer, in the order of the questions."""
    known = metrics_by_label()
    spoken = [known[label] for label in comparison.definitions if label in known and known[label].in_summary]
    return {question: [metric for metric in spoken if metric.question == question] for question in QUESTIONS}


def _values(comparison: Comparison, name: str, metric: Metric) -> tuple[float, float]:
    ours, plain = (comparison.rows[row].get(metric.label, float("nan")) for row in (name, BASELINE))
    return ours, plain


def _compared(comparison: Comparison, name: str, metric: Metric) -> Verdict | None:
    """How `name` does compared with bicubic interpolation; None where one of both has no number."""
    ours, plain = _values(comparison, name, metric)
    if not (np.isfinite(ours) and np.isfinite(plain)):
        return None
    truth = comparison.limits.get(metric.label)
    one, other = off_ideal(metric.better, (ours, plain), metric.best(truth))
    if np.isclose(one, other, rtol=_EQUAL):
        return "as good"
    return "better" if metric.prefers(ours, plain, truth) else "worse"


def _said(comparison: Comparison, name: str, metric: Metric) -> str:
    """The number of `name` and that of bicubic interpolation; nothing where neither has one."""
    ours, plain = _values(comparison, name, metric)
    verdict = _compared(comparison, name, metric)
    if verdict is None:
        missing = np.isnan(ours) and np.isnan(plain)
        return "" if missing else f"{metric.label} {_number(ours)} (bicubic {_number(plain)})"
    than = {"better": "better than", "worse": "worse than", "as good": "as good as"}[verdict]
    return f"{metric.label} {ours:.3g}, {than} bicubic ({plain:.3g})"


def _number(value: float) -> str:
    return "not measurable" if np.isnan(value) else f"{value:.3g}"


def scanner_in_words(comparison: Comparison) -> str | None:
    """One sentence: the scanner that consistency χ² was measured with, or why there is none."""
    found = comparison.facts.get("scanner")
    if found is None:
        return None
    if found["blur_mm"] is None:
        return f"Consistency χ² was not measured: {found['found_from']}."
    return (
        f"Consistency χ² takes a scanner of point spread {found['blur_mm']:.2f} mm (standard deviation) and noise "
        f"{found['noise_hu']:.0f} HU, found from {found['found_from']}."
    )


def trees_in_words(comparison: Comparison) -> str | None:
    """One sentence for each structure that is a tree: on what grid it was measured in three dimensions, or why not."""
    said = comparison.facts.get("trees", {}).values()
    return " ".join(f"{one[0].upper()}{one[1:]}." for one in said) or None


def _begun(question: Question) -> str:
    """The question inside a sentence."""
    return question.text[0].lower() + question.text[1:]


def tissues_in_words(tissues: Mapping[str, TissueError], name: str) -> str:
    """One sentence that says in which tissues `name` is nearer to the truth than bicubic interpolation."""
    nearer = [tissue for tissue, one in tissues.items() if one.mae_hu[name] < one.mae_hu[BASELINE]]
    farther = [tissue for tissue in tissues if tissue not in nearer]
    return (
        f"Mean absolute error against the truth, {name} compared with bicubic: "
        f"smaller in {', '.join(nearer) or 'no tissue'}; larger in {', '.join(farther) or 'no tissue'}."
    )


def how_to_read(labels: Iterable[str]) -> str:
    """What the numbers of these metrics do and do not say, and nothing of others; empty where there is no caveat."""
    known = metrics_by_label()
    shown = [known[label] for label in labels if label in known]
    asked: dict[Question, list[str]] = {
        question: [metric.label for metric in shown if metric.question == question] for question in QUESTIONS
    }
    true = [_begun(question) for question in _TELL_TRUTH if asked[question]]
    said = []
    if asked[RIGHT_VALUE]:
        said.append(
            f"By {_listed(asked[RIGHT_VALUE])} an image is rewarded for being right on average, voxel by voxel, and a "
            "smooth image is hard to beat there."
        )
    if asked[TEXTURE]:
        said.append(
            f"By {_listed(asked[TEXTURE])} an image is rewarded for its texture, wherever its detail lies; it can "
            "win there with invented detail."
        )
    if asked[ANY_DETAIL]:
        said.append(f"By {_listed(asked[ANY_DETAIL])} any detail counts, invented detail too.")
    if true:
        said.append(f"Which detail is true is told by the numbers for: {'; '.join(true)}.")
    if len(said) > 1:
        said.append("No single row is enough.")
    if asked[TEXTURE] and asked[STRUCTURES_INVENTED]:
        said.append("A method that wins texture but invents structures must not be read for structures.")
    return " ".join(said)


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


_TELL_TRUTH: Final = (TRUE_DETAIL, STRUCTURES_FOUND, STRUCTURES_INVENTED, STRUCTURES_LOST)
