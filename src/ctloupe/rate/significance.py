"""Whether one method is marked better than another, or whether that is chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, wilcoxon


@dataclass(frozen=True)
class PairedTest:
    """Tests of two methods on one criterion.

    Attributes
    ----------
    one, other
        Names of the methods.
    pairs
        Number of patches that both were marked on, by the same rater.
    difference
        Median of the paired differences, one − other.
    rank_sum
        p value of the two-sided Wilcoxon rank-sum test, as ISBI 2021 uses it; it ignores that marks are paired.
    signed_rank
        p value of the two-sided Wilcoxon signed-rank test, which suits the design; 1 when no pair differs.
    effect
        Matched-pairs rank-biserial correlation of the latter (Kerby 2014): 1 when one is better in every pair, −1 when
        worse, 0 when neither.
    """

    one: str
    other: str
    pairs: int
    difference: float
    rank_sum: float
    signed_rank: float
    effect: float


def compare(one: str, other: str, marks: NDArray[np.float64], others: NDArray[np.float64]) -> PairedTest:
    """Compare paired marks, in the same order.

    Raises
    ------
    ValueError
        If there are no pairs, or not as many of both.
    """
    if len(marks) != len(others) or not len(marks):
        raise ValueError(f"{one} and {other}: expected paired marks, found {len(marks)} and {len(others)}")
    apart = np.asarray(marks, float) - np.asarray(others, float)
    differ = apart[apart != 0]
    signed = float(wilcoxon(marks, others).pvalue) if differ.size else 1.0
    summed = float(mannwhitneyu(marks, others, alternative="two-sided").pvalue)
    return PairedTest(one, other, len(apart), float(np.median(apart)), summed, signed, rank_biserial(apart))


def rank_biserial(differences: NDArray[np.float64]) -> float:
    """Return the sum of ranks in favour minus the sum against, over all; equal pairs are left out (Kerby 2014)."""
    from scipy.stats import rankdata

    differ = differences[differences != 0]
    if not differ.size:
        return 0.0
    ranks = rankdata(np.abs(differ))
    return float((ranks[differ > 0].sum() - ranks[differ < 0].sum()) / ranks.sum())


def holm(probabilities: Sequence[float]) -> list[float]:
    """Adjust p values for being several (Holm 1979): the i-th smallest times n − i + 1, never falling, at most 1."""
    order = np.argsort(probabilities, kind="stable")
    adjusted = [0.0] * len(probabilities)
    highest = 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(probabilities) - rank) * probabilities[at]))
        adjusted[at] = highest
    return adjusted
