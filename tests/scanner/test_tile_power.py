"""Power of tiles inside a mask, against noise whose spectrum is known."""

import numpy as np
import pytest

from ctloupe.scanner.noise import NoiseSpectrum, exact_noise
from ctloupe.scanner.tile_power import COEFFICIENTS, TilePower, expected_power


def measured(planes, inside=None):
    power = TilePower()
    for plane in planes:
        power.add(plane, inside)
    return power.result()


@pytest.mark.parametrize("spectrum", [NoiseSpectrum(0.0, 1.0), NoiseSpectrum(1.0, 0.3), NoiseSpectrum(1.0, 0.6)])
def test_noise_of_a_known_spectrum_has_the_expected_power(spectrum):
    noise = exact_noise((20, 128, 128), 30.0, spectrum, np.random.default_rng(0))
    assert measured(noise) == pytest.approx(expected_power(spectrum, 30.0), rel=0.06)


def test_the_mean_over_coefficients_is_the_variance():
    assert np.average(expected_power(NoiseSpectrum(1.0, 0.3), 30.0), weights=COEFFICIENTS) == pytest.approx(900)


def test_a_constant_is_power_at_the_lowest_frequencies():
    power = measured(np.full((1, 16, 16), 7.0))
    # By Parseval, all of it is the square of the constant.
    assert np.average(power, weights=COEFFICIENTS) == pytest.approx(49)
    assert power[3:] == pytest.approx(0, abs=1e-9)


def test_only_tiles_wholly_inside_count():
    plane = np.random.default_rng(0).normal(size=(32, 32))
    inside = np.zeros((32, 32), bool)
    inside[8:24, 8:24] = True
    spoilt = np.where(inside, plane, 1e6)
    assert measured([spoilt], inside) == pytest.approx(measured([plane[8:24, 8:24]]))
    inside[8:24:4] = False
    assert np.isnan(measured([plane], inside)).all()
    assert np.isnan(measured([plane[:5, :5]])).all()
