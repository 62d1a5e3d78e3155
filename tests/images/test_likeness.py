"""Scans unlike the training data are recognised, and said to be so in words."""

from functools import cache

import numpy as np
import pytest

from ctloupe.images.likeness import ImageStatistics, Spread, image_statistics_of, spread_of, unlikeness
from ctloupe.phantom.clinical import clinical_scan
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom
from ctloupe.prepare.patches import PatchBank

SIZE = (8, 256, 256)


def look(volume):
    bank = PatchBank.sample([("scan", volume, None)], 32, per_volume=64, seed=0)
    return image_statistics_of(np.array([bank.values(k) for k in range(len(bank))]), bank.spacing)


@pytest.fixture(scope="module")
def trained():
    looks = [look(scan(seed)) for seed in (1, 2, 3)]
    return looks[0], spread_of(looks)


@cache
def truth(seed):
    return make_phantom("lung", SIZE, seed, PhantomConfig()).truth


def scan(seed=7, kernel="standard", noise_hu=20.0):
    return clinical_scan(truth(seed), kernel=kernel, noise_hu=noise_hu, seed=seed)


@pytest.mark.slow
def test_another_anatomy_from_the_same_scanner_is_alike(trained):
    found = unlikeness(look(scan()), *trained)
    assert found.score < 1 and not found.lines
    assert "is like the training data" in found.in_words()


@pytest.mark.slow
def test_a_model_of_smooth_scans_is_warned_of_a_sharp_one_and_the_reverse():
    smooth, sharp = ([look(scan(seed, kernel=kernel)) for seed in (1, 2, 7)] for kernel in ("smooth", "sharp"))
    for trained, scans, word in ((smooth, sharp, "stronger"), (sharp, smooth, "weaker")):
        spread = spread_of(trained[:2])
        found = unlikeness(scans[2], trained[0], spread)
        assert found.score > 1 and any(word in line and "kernel" in line for line in found.lines)
        assert "unlike the training data" in found.in_words()
        assert unlikeness(trained[2], trained[0], spread).score < 1


@pytest.mark.slow
def test_much_noise_is_noticed(trained):
    found = unlikeness(look(scan(noise_hu=100.0)), *trained)
    assert found.noise > 1 and any("dose" in line for line in found.lines)


@pytest.mark.slow
def test_what_is_no_lung_is_noticed_by_its_intensities(trained):
    bone = make_phantom("temporal-bone", SIZE, 1).clinical
    found = unlikeness(look(bone), *trained)
    assert found.intensity > 5 and found.spacing > 1
    assert "another tissue" in found.in_words() and "resample the scan" in found.in_words()


def test_training_volumes_that_differ_allow_more():
    one = ImageStatistics((0.6, 0.6), {"5": -900, "25": -850, "50": -800, "75": -750, "95": -400}, (40.0,) * 8)
    brighter = ImageStatistics((0.6, 0.6), {key: value + 150 for key, value in one.percentiles.items()}, (44.0,) * 8)
    assert unlikeness(brighter, one).score > 1
    spread = spread_of([one, brighter])
    assert spread == Spread(150, 4, 0)
    assert unlikeness(brighter, one, spread).score < 1
    assert spread_of([one]) == Spread()


def test_models_without_a_spectrum_are_compared_by_intensity_alone():
    old = ImageStatistics((0.6, 0.6), {"5": -900, "25": -850, "50": -800, "75": -750, "95": -400})
    new = ImageStatistics((0.6, 0.6), dict(old.percentiles), (40.0,) * 8)
    assert unlikeness(new, old).score == 0
