"""A few damaged records of each kind: each is read as another sound one, or refused in a line; none ends a process."""

from pathlib import Path

import pytest

from fuzz.records import judged, run_case
from fuzz.run import GOOD
from fuzz.small_records import RECORDS, template

SEED = 5

ENDED_BADLY_ONCE = [
    ("patch banks", 1, 17),
    ("model package", 1, 40),
    ("ratings", 1, 182),
    ("ratings", 1, 198),
    ("run folder", 1, 314),
    ("ratings", 1, 326),
    ("record of an evaluation", 1, 348),
    ("ratings", 1, 630),
    ("ratings", 1, 1806),
    ("model package", 1, 2016),
    ("suite", 1, 2405),
    ("model package", 20261129, 1488),
    ("model package", 20261129, 1624),
    ("run folder", 20261129, 3242),
    ("suite", 20261129, 1842),
    ("model package", 20261129, 4023),
    ("record of an evaluation", 20261129, 5846),
    ("training configuration", 20261130, 1907),
    ("model package", 20261130, 2628),
    ("run folder", 20261130, 3485),
    ("model package", 20261130, 4950),
]
"""Kind, seed and number: a pipe as a record, keys of another study, layers without end, lines of 100,000 characters."""


@pytest.mark.parametrize("kind", RECORDS)
def test_the_undamaged_record_is_read(kind, tmp_path):
    outcome, message = judged(kind, Path(template(kind).name), tmp_path)
    assert outcome == "accepted", message


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3 * len(RECORDS)))
def test_a_damaged_record_is_sound_or_refused_in_a_line(number):
    case = run_case(SEED, number)
    assert case.outcome in GOOD, f"{case.kind}, {case.damage}: {case.message}"


@pytest.mark.parametrize(("kind", "seed", "number"), ENDED_BADLY_ONCE)
def test_what_ended_badly_once_does_no_longer(kind, seed, number):
    case = run_case(seed, number, kind=kind)
    assert case.outcome in GOOD, f"{case.kind}, {case.damage}: {case.message[-500:]}"
