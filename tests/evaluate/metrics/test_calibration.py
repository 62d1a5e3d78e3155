"""An honest uncertainty is called honest, and others by what is wrong with them."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from ctloupe.evaluate.metrics.calibration import (
    LEVELS,
    ErrorSample,
    coverage,
    rank_correlation,
    recalibrated,
    recalibration,
    sparsification,
)


def honest(factor=1.0, size=40000, seed=0):
    random = np.random.default_rng(seed)
    deviation = random.uniform(10, 100, size)
    return random.normal(0, deviation), factor * deviation


def calibration_error(error, deviation):
    return ErrorSample(error, deviation, np.zeros(error.size, int)).calibration_error()


@pytest.mark.parametrize("level", LEVELS)
def test_an_honest_uncertainty_covers_what_it_promises(level):
    assert coverage(*honest(), level) == pytest.approx(level, abs=0.01)


def test_intervals_too_narrow_or_too_wide_are_seen():
    assert coverage(*honest(0.5), 0.8) < 0.6 and coverage(*honest(2), 0.8) > 0.95
    assert calibration_error(*honest()) < 0.01
    # |z| of half the honest width: the error is the mean distance of 2Φ(z/2)−1 from the level.
    assert calibration_error(*honest(0.5)) > 0.15


def test_the_rank_correlation_is_scipys():
    error, deviation = honest(size=500)
    expected = spearmanr(np.abs(error), deviation).statistic
    assert rank_correlation(error, deviation) == pytest.approx(expected)
    assert np.isnan(rank_correlation(error, np.ones(500)))


def test_no_order_beats_that_of_the_error_itself():
    error, deviation = honest()
    best, good = sparsification(error, np.abs(error)), sparsification(error, deviation)
    blind = sparsification(error, np.random.default_rng(1).uniform(size=error.size))
    assert best.area == pytest.approx(0, abs=1e-12)
    assert 0 < good.area < 0.75 * blind.area
    assert blind.by_deviation == pytest.approx(np.ones(50), abs=0.12)
    assert (good.by_deviation[0], good.by_error[0]) == pytest.approx((1, 1))


def test_the_curve_is_the_mean_of_what_is_left():
    curve = sparsification(np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 3.0, 2.0, 1.0]), steps=4)
    assert curve.by_error == pytest.approx(np.array([2.5, 2.0, 1.5, 1.0]) / 2.5)
    assert curve.by_deviation == pytest.approx(np.array([2.5, 3.0, 3.5, 4.0]) / 2.5)


def test_recalibration_fitted_on_one_case_makes_another_honest():
    tissue = np.arange(40000) % 2
    error, deviation = honest(seed=1)
    wrong = deviation * np.where(tissue == 0, 0.5, 3.0)
    factors = recalibration(error, wrong, tissue)
    assert factors == pytest.approx({0: 2.0, 1: 1 / 3}, rel=0.03)
    other, other_deviation = honest(seed=2)
    mended = recalibrated(other_deviation * np.where(tissue == 0, 0.5, 3.0), tissue, factors)
    assert calibration_error(other, mended) < 0.01


def test_a_tissue_without_uncertainty_keeps_its_own():
    assert recalibration(np.ones(3), np.zeros(3), np.zeros(3)) == {0: 1.0}


def test_a_few_voxels_that_are_wrongly_certain_do_not_rule_the_factor():
    error, deviation = honest()
    deviation[:400] = 1e-3
    assert recalibration(error, deviation, np.zeros(error.size))[0] == pytest.approx(1, rel=0.05)
