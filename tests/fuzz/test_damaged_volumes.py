"""A few damaged volumes of each kind: none is read wrongly without a word, and none ends the process."""

import numpy as np
import pytest

from fuzz.run import GOOD, Case, judged, run_case, table
from fuzz.small_volumes import BUILDERS

SEED = 5

ENDED_BADLY_ONCE = [
    *((2, number) for number in (195, 223, 274, 397, 752, 797)),
    *((20261128, number) for number in (665, 1132, 1272, 1454, 2666, 3800, 4850, 6317, 7383)),
    *((20261129, number) for number in (125, 2064, 2524, 6255)),
    (20261130, 1050),
    (20261201, 9514),
]
"""Seed and number: slices left out, chunks read beyond their end, a matrix ITK never left, lines of libraries."""


@pytest.mark.parametrize("kind", BUILDERS)
def test_the_undamaged_volume_is_read_as_independently(kind, tmp_path):
    (tmp_path / "case").mkdir()
    path = BUILDERS[kind](tmp_path / "case", np.random.default_rng(1))
    outcome, message = judged(kind, path, tmp_path)
    assert outcome in ("correct", "noted"), message


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2 * len(BUILDERS)))
def test_a_damaged_volume_is_read_rightly_or_refused_in_a_line(number):
    case = run_case(SEED, number)
    assert case.outcome in GOOD, f"{case.kind}, {case.damage}: {case.message}"


@pytest.mark.parametrize(("seed", "number"), ENDED_BADLY_ONCE)
def test_what_ended_badly_once_does_no_longer(seed, number):
    case = run_case(seed, number)
    assert case.outcome in GOOD, f"{case.kind}, {case.damage}: {case.message}"


def test_the_table_counts_every_outcome():
    cases = [Case(0, "NIfTI", (), "correct", ""), Case(1, "NIfTI", (), "hang", ""), Case(2, "NRRD", (), "refused", "")]
    lines = table(cases).splitlines()
    assert "hang" in lines[0] and "crash" not in lines[0]
    assert lines[-1] == "| all | 1 | 0 | 0 | 1 | 1 |"
