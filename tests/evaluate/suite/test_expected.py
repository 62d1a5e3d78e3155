"""A suite says how long it will take, from models that were tried and from its voxels."""

import pytest

from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.suite.expected import (
    SECONDS_A_CASE,
    left_in_words,
    plan_in_words,
    seconds_a_slice,
    seconds_of_case,
)

SIZE = (64, 512, 512)


def test_more_models_slices_and_scans_take_longer():
    least = seconds_of_case(SIZE, 8, [0.5], 2)
    assert seconds_of_case(SIZE, 8, [0.5, 0.5], 2) > least + 4
    assert seconds_of_case(SIZE, 8, [0.5], 2, scans=2) == pytest.approx(least + 4)
    assert seconds_of_case(SIZE, 16, [0.5], 2) == pytest.approx(2 * least - SECONDS_A_CASE)


def test_what_is_left_goes_by_how_the_cases_so_far_kept_to_what_was_expected():
    assert left_in_words(20, [10, 30, 30], 1) == "  1 of 3 cases done, about 2 min left"
    assert left_in_words(20, [10, 30, 30], 3) == "  3 of 3 cases done, in 20 s"
    assert plan_in_words([10, 30, 30], 2).startswith("plan: 3 cases, 2 rows, about 70 s; one case after another, ")
    assert plan_in_words([10], 1).startswith("plan: 1 case, 1 row, about 10 s; ")


def test_a_model_is_tried_on_a_slice():
    assert 0 < seconds_a_slice(load_model("bicubic", 4), 32) < 60
