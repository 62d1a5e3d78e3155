"""Fidelity metrics against closed forms and scikit-image."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from ctloupe.evaluate.metrics.fidelity import mae, psnr, ssim_map, ssim_windowed
from ctloupe.evaluate.metrics.patch_fidelity import jmi_psnr, jmi_ssim


def pair(shape, seed=0, noise=0.3):
    random = np.random.default_rng(seed)
    a = random.normal(size=shape).astype(np.float32)
    return a, (a + noise * random.normal(size=shape)).astype(np.float32)


def test_psnr_of_a_known_error():
    reference = np.zeros((4, 5))
    assert psnr(reference + 0.1, reference, data_range=1) == pytest.approx(20)
    assert psnr(reference + 15, reference, data_range=1500) == pytest.approx(40)
    assert psnr(reference, reference, data_range=1) == math.inf


def test_psnr_agrees_with_scikit_image_and_needs_its_range():
    a, b = pair((30, 31))
    assert psnr(a, b, data_range=3.0) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=3.0), abs=1e-4)
    with pytest.raises(TypeError):
        psnr(a, b)


def test_masked_metrics_count_the_mask_only():
    reference = np.zeros((6, 6))
    image = reference.copy()
    image[:3], image[3:] = 0.1, 50
    mask = np.zeros((6, 6), bool)
    mask[:3] = True
    assert psnr(image, reference, data_range=1, mask=mask) == pytest.approx(20)
    assert mae(image, reference, mask) == pytest.approx(0.1)
    assert mae(image, reference) == pytest.approx(25.05)


@settings(max_examples=20, deadline=None)
@given(
    shape=st.tuples(st.integers(11, 40), st.integers(11, 40)),
    seed=st.integers(0, 99),
    scale=st.sampled_from([1.0, 700.0]),
    offset=st.sampled_from([0.0, -850.0]),
)
def test_windowed_ssim_agrees_with_scikit_image(shape, seed, scale, offset):
    # In double precision: the oracle computes in that of its input.
    a, b = (scale * image.astype(np.float64) + offset for image in pair(shape, seed))
    oracle = structural_similarity(
        a, b, data_range=2 * scale, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim_windowed(a, b, data_range=2 * scale) == pytest.approx(oracle, abs=1e-4)


def test_windowed_ssim_of_a_volume_is_the_mean_over_its_slices_and_of_a_mask_that_of_its_pixels():
    a, b = pair((3, 20, 22))
    slices = [ssim_windowed(x, y, data_range=2) for x, y in zip(a, b, strict=True)]
    assert ssim_windowed(a, b, data_range=2) == pytest.approx(np.mean(slices))
    mask = np.random.default_rng(1).random(a[0].shape) < 0.2
    assert ssim_windowed(a[0], b[0], data_range=2, mask=mask) == pytest.approx(
        ssim_map(a[0], b[0], data_range=2)[mask].mean(), rel=1e-5
    )


def test_jmi_psnr_is_six_decibels_below_the_usual_one():
    a, b = pair((16, 16))
    assert psnr(a, b, data_range=2) - jmi_psnr(a, b) == pytest.approx(20 * math.log10(2))
    assert jmi_psnr(a, b) == pytest.approx(-10 * math.log10(mean_squared_error(a, b)), abs=1e-4)


def test_jmi_ssim_worked_out_by_hand():
    a, b = np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])
    c = 1e-4
    expected = (2 * 0.25 + c) * c / ((0.25 + 0.25 + c) * (0.25 + c))
    assert jmi_ssim(a, b) == pytest.approx(expected)
    assert jmi_ssim(a, a) == pytest.approx(1)


def test_one_window_and_many_windows_are_different_numbers():
    a, b = pair((64, 64))
    a[:, 32:] += 3
    b[:, 32:] += 3
    assert abs(jmi_ssim(a, b) - ssim_windowed(a, b, data_range=2)) > 0.02


def test_images_of_unlike_shape_are_refused():
    for metric in (mae, jmi_ssim, jmi_psnr):
        with pytest.raises(ValueError, match="shape"):
            metric(np.zeros((3, 3)), np.zeros((3, 4)))
    with pytest.raises(ValueError, match="shape"):
        ssim_windowed(np.zeros((13, 13)), np.zeros((13, 14)), data_range=1)
