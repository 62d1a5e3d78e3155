"""The seam metric sees a planted grid and nothing in its absence."""

import numpy as np
import pytest

from ctloupe.evaluate.seams import seam_visibility


def test_noise_has_no_seam():
    image = np.random.default_rng(0).normal(size=(256, 256))
    assert seam_visibility(image, 32) == pytest.approx(1, abs=0.03)


def test_patches_of_unlike_brightness_show():
    random = np.random.default_rng(0)
    image = random.normal(size=(256, 256)) + random.normal(0, 2, (8, 8)).repeat(32, 0).repeat(32, 1)
    assert seam_visibility(image, 32) > 1.5
    assert seam_visibility(np.stack([image, image]), 32) == pytest.approx(seam_visibility(image, 32), rel=1e-6)


def test_the_value_is_the_ratio_of_mean_steps():
    image = np.zeros((4, 8))
    image[:, ::2] = 1
    image[:, 4:] += 10
    # Columns: six steps of 1 elsewhere and one of 11 at the border; rows: no step at all, none at a border of 4.
    assert seam_visibility(image, 4) == pytest.approx((4 * 11 / 4) / (4 * 6 / (4 * 6 + 3 * 8)), rel=1e-6)


def test_an_image_smaller_than_a_patch_is_refused():
    with pytest.raises(ValueError, match="no border"):
        seam_visibility(np.zeros((8, 8)), 16)


def test_steps_between_pixels_of_the_scan_are_compared_with_each_other():
    coarse = np.random.default_rng(0).normal(size=(32, 32)).repeat(8, 0).repeat(8, 1)
    assert seam_visibility(coarse, 64) > 5
    assert seam_visibility(coarse, 64, phase=8) == pytest.approx(1, abs=0.1)
