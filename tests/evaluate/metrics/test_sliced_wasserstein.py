"""Patches of fine detail: what they are, and how far sets of them lie apart."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import wasserstein_distance

from ctloupe.evaluate.metrics.sliced_wasserstein import laplacian_levels, sample_patches, sliced_wasserstein


def texture(seed, sigma=1.0, size=128):
    return gaussian_filter(np.random.default_rng(seed).normal(0, 100, (size, size)), sigma)


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
