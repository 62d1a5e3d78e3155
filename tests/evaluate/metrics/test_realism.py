"""Realism sees texture, whatever it is a texture of."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import wasserstein_distance

from ctloupe.evaluate.metrics.realism import (
    laplacian_levels,
    power_spectrum_distance,
    sample_patches,
    sliced_wasserstein,
)
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


def test_the_laplacian_levels_add_up_to_the_image():
    image = texture(0)
    finest = laplacian_levels(image, 1)[0]
    assert np.allclose(finest + gaussian_filter(image, 1.0, mode="reflect"), image)
    assert [level.shape for level in laplacian_levels(image, 3)] == [(128, 128), (64, 64), (32, 32)]


def test_in_one_dimension_it_is_scipys_wasserstein_distance():
    random = np.random.default_rng(0)
    one, other = random.normal(0, 1, (500, 1)), random.normal(2, 1.5, (500, 1))
    assert sliced_wasserstein(one, other, 3) == pytest.approx(wasserstein_distance(one[:, 0], other[:, 0]))


def test_a_shift_is_as_far_as_its_mean_projection():
    one = np.random.default_rng(0).normal(0, 1, (400, 3))
    # The mean of |cos| over directions of space is one half.
    assert sliced_wasserstein(one, one + np.array([4, 0, 0]), 4000) == pytest.approx(2.0, rel=0.03)


def test_sets_of_different_size_from_one_distribution_are_near():
    random = np.random.default_rng(0)
    assert sliced_wasserstein(random.normal(0, 1, (3000, 5)), random.normal(0, 1, (1700, 5))) < 0.08


def test_patches_are_parts_of_the_image():
    image = np.arange(400.0).reshape(20, 20)
    rows = sample_patches(image, 10, np.random.default_rng(0))
    assert rows.shape == (10, 49)
    for row in rows:
        top, left = divmod(int(row[0]), 20)
        assert np.array_equal(row.reshape(7, 7), image[top : top + 7, left : left + 7])
