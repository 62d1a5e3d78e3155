"""A few damaged records of each kind: each is read as another sound one, or refused in a line; none ends a process."""

from pathlib import Path

import pytest

from fuzz.records import judged, run_case
from fuzz.run import GOOD
from fuzz.small_records import RECORDS, template

SEED = 5

ENDED_BADLY_ONCE = [(1, number) for number in (17, 40, 182, 198, 314, 326, 348, 630, 1806, 2016, 2405)]
"""Seed and number: a pipe as a record, keys of another study, layers without end, lines of 100,000 characters."""


@pytest.mark.parametrize("kind", RECORDS)
def test_the_undamaged_record_is_read(kind, tmp_path):
    outcome, message = judged(kind, Path(template(kind).name), tmp_path)
    assert outcome == "accepted", message


@pytest.mark.slow
@pytest.mark.parametrize("number", range(6 * len(RECORDS)))
def test_a_damaged_record_is_sound_or_refused_in_a_line(number):
    case = run_case(SEED, number)
    assert case.outcome in GOOD, f"{case.kind}, {case.damage}: {case.message}"


@pytest.mark.parametrize(("seed", "number"), ENDED_BADLY_ONCE)
def test_what_ended_badly_once_does_no_longer(seed, number):
    case = run_case(seed, number)
    assert case.outcome in GOOD, f"{case.kind}, {case.damage}: {case.message[-500:]}"
