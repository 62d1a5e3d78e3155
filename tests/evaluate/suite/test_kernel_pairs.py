"""A suite of kernel pairs: one body, two reconstructions, one dose."""

import numpy as np
import pytest
from pydantic import ValidationError

from ctloupe.evaluate.suite.definition import Suite, load_suite
from ctloupe.evaluate.suite.run import measure_suite
from ctloupe.scanner.noise import NoiseSpectrum, plane_frequency
from ctloupe.scanner.scanner import KERNELS

PAIR = {"kernel": "smooth", "noise_hu": 9.7, "other": {"kernel": "sharp", "noise_hu": 36.2}}
BODY = {"group": "pairs", "anatomy": "lung", "size": (8, 64, 64)}


def suite(*cases):
    return Suite(name="mine", title="mine", scale=4, windows={}, specimens={}, cases=cases)


def noise_behind(kernel):
    """Standard deviation that one ramp leaves behind a kernel."""
    power = NoiseSpectrum(1.0, KERNELS[kernel].roll_off).power(plane_frequency(64, 64), 0.0)
    return np.sqrt(power.mean())


def test_both_scans_of_a_published_pair_have_the_noise_of_one_dose():
    for case in load_suite("lung-kernels-v1").cases:
        expected = noise_behind(case.other.kernel) / noise_behind(case.kernel)
        assert case.other.noise_hu / case.noise_hu == pytest.approx(expected, rel=0.02)


def test_its_bodies_are_those_of_no_other_suite():
    seeds = [case.seed for name in ("lung-v1", "lung-b-v1", "lung-kernels-v1") for case in load_suite(name).cases]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.slow
def test_a_pair_stands_in_a_leaderboard_and_is_not_measured_again(tmp_path):
    mine = suite({"key": "one", "seed": 1, **BODY, **PAIR})
    said = []
    board = measure_suite(mine, [("nearest", "nearest")], tmp_path, tmp_path / "data", controls=True, say=said.append)
    again = measure_suite(mine, [("nearest", "nearest")], tmp_path, tmp_path / "data", controls=True, say=said.append)
    assert said[0].startswith("plan: 1 case, 2 rows, ") and said[1].startswith("phantoms first: 2, about ")
    assert said[2:4] == ["phantom one-other", "phantom one"] and len(said) == 6
    assert again["pairs"].csv() == board["pairs"].csv()
    assert "kernel pair, contrast (HU)" in board["pairs"].csv()


def test_pairs_and_single_scans_do_not_share_a_group():
    with pytest.raises(ValidationError, match="group of their own"):
        suite({"key": "one", "seed": 1, **BODY, **PAIR}, {"key": "two", "seed": 2, **BODY})
