"""What an enhancement costs, in numbers and in words."""

import pytest

from ctloupe.enhance.plan import Plan, disk_needed


def test_the_disk_counts_every_level():
    one = disk_needed((10, 64, 64), 0, False)
    assert disk_needed((10, 64, 64), 2, False) == pytest.approx(one * (1 + 1 / 4 + 1 / 16))
    assert disk_needed((10, 64, 64), 0, True) == pytest.approx(3 * one)


@pytest.mark.parametrize(("seconds", "words"), [(5.0, "about 5 s"), (600.0, "about 10 min"), (9000, "about 2.5 h")])
def test_a_plan_is_said_in_words(seconds, words):
    lines = Plan(4, (4, 80, 96), 2, (16, 16), 1.2e9, 5e8, seconds).lines()
    assert lines[0] == "plan: 4 slices to 96×80 pixels, 2 at a time, tiles of 16×16 scan voxels"
    assert lines[1] == f"plan: memory about 1.2 GB, disk up to 0.50 GB, time {words}"
