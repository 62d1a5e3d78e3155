"""Tests between methods are scipy's, and Holm's correction is the textbook's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ranksums, wilcoxon

from ctloupe.rate.significance import compare, holm, rank_biserial


def test_a_clear_difference_is_found_by_both_tests():
    random = np.random.default_rng(0)
    other = random.normal(3, 1, 40)
    one = other + random.normal(0.3, 0.15, 40)
    found = compare("ours", "bicubic", one, other)
    assert found.signed_rank == pytest.approx(wilcoxon(one, other).pvalue)
    assert found.rank_sum == pytest.approx(ranksums(one, other).pvalue, rel=0.05)
    assert found.signed_rank < 0.001 < found.rank_sum
    assert found.effect > 0.9 and found.pairs == 40


def test_equal_marks_are_no_difference():
    found = compare("a", "b", np.ones(5), np.ones(5))
    assert (found.signed_rank, found.effect, found.difference) == (1, 0, 0)


def test_unpaired_marks_are_refused():
    with pytest.raises(ValueError, match="paired marks"):
        compare("a", "b", np.ones(3), np.ones(4))


def test_the_effect_counts_ranks():
    # Ranks 1, 2, 3 of the differences 1, 2 and −3; the tie is left out.
    assert rank_biserial(np.array([1.0, 2.0, -3.0, 0.0])) == pytest.approx((1 + 2 - 3) / 6)
    assert rank_biserial(np.array([1.0, 2.0])) == 1


def test_holm_of_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_probability_and_keeps_their_order(probabilities):
    adjusted = holm(probabilities)
    assert all(a >= p for a, p in zip(adjusted, probabilities, strict=True)) and max(adjusted) <= 1
    order = np.argsort(probabilities, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)
