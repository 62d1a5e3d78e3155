"""Power spectra: near for one texture, far for its blur."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctloupe.evaluate.metrics.spectrum import power_spectrum_distance
from ctloupe.images.spectrum import radial_power


def texture(seed, sigma=1.0, size=128):
    return gaussian_filter(np.random.default_rng(seed).normal(0, 100, (size, size)), sigma)


def test_white_noise_has_the_same_power_in_every_ring():
    power = radial_power(np.random.default_rng(0).normal(0, 3, (256, 256)), 16)
    # The window takes some power from the lowest ring with the mean.
    assert power[1:] == pytest.approx(np.full(15, 9.0), rel=0.15)


def test_the_spectra_of_one_texture_are_near_and_those_of_its_blur_are_not():
    same = power_spectrum_distance(radial_power(texture(0)), radial_power(texture(1)))
    blurred = power_spectrum_distance(radial_power(texture(0)), radial_power(gaussian_filter(texture(1), 1)))
    assert same < 3 < blurred


def test_a_factor_of_two_in_amplitude_is_six_decibels():
    power = radial_power(texture(0))
    assert power_spectrum_distance(power, 4 * power) == pytest.approx(10 * np.log10(4))
