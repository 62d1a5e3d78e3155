"""Each loss term against a value worked out by hand or by another program."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from skimage.metrics import structural_similarity

from ctloupe.losses.adversarial import discriminator_loss, generator_loss
from ctloupe.losses.history import HistoryBuffer
from ctloupe.losses.mmsr import distance, f_down, f_up, mmsr_terms
from ctloupe.losses.ssim import ssim_gaussian, ssim_global, ssim_loss


def test_log_loss_of_undecided_logits_is_log_two():
    logits = torch.zeros(2, 1, 3, 3)
    assert discriminator_loss(logits, logits).item() == pytest.approx(math.log(2))
    assert generator_loss(logits).item() == pytest.approx(math.log(2))


def test_log_loss_of_known_logits():
    real, fake = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), -1.0)
    expected = 0.5 * (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)))
    assert discriminator_loss(real, fake).item() == pytest.approx(expected)
    assert generator_loss(fake).item() == pytest.approx(math.log1p(math.exp(1)))


def test_least_squares_loss_of_known_logits():
    real, fake = torch.full((1, 1, 2, 2), 0.5), torch.full((1, 1, 2, 2), 0.25)
    assert discriminator_loss(real, fake, "least-squares").item() == pytest.approx(0.5 * (0.25 + 0.0625))
    assert generator_loss(fake, "least-squares").item() == pytest.approx(0.5625)


def test_global_ssim_worked_out_by_hand():
    a = torch.tensor([[0.0, 1.0]]).view(1, 1, 1, 2)
    b = torch.tensor([[0.5, 0.5]]).view(1, 1, 1, 2)
    c1, c2 = 0.02, 0.06
    expected = ((2 * 0.25 + c1) * c2) / ((0.25 + 0.25 + c1) * (0.25 + 0 + c2))
    assert ssim_global(a, b).item() == pytest.approx(expected, rel=1e-5)


def test_ssim_of_an_image_with_itself_is_one_and_its_loss_zero():
    image = torch.rand(3, 1, 20, 20)
    for kind in ("global", "gaussian"):
        assert ssim_loss(image, image, kind).item() == pytest.approx(0, abs=1e-5)


def test_padded_gaussian_ssim_counts_a_window_about_every_pixel_with_zeros_beyond_the_border():
    random = np.random.default_rng(0)
    a, b = random.random((2, 20, 24))
    at = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(at, at) / at.sum() ** 2
    mean_a, mean_b, aa, bb, ab = (
        convolve(image, window, mode="constant", cval=0.0) for image in (a, b, a * a, b * b, a * b)
    )
    c1, c2 = 0.01**2, 0.03**2
    numerator = (2 * mean_a * mean_b + c1) * (2 * (ab - mean_a * mean_b) + c2)
    denominator = (mean_a**2 + mean_b**2 + c1) * (aa - mean_a**2 + bb - mean_b**2 + c2)
    found = ssim_gaussian(torch.from_numpy(a)[None, None], torch.from_numpy(b)[None, None], padded=True).item()
    assert found == pytest.approx((numerator / denominator).mean(), abs=1e-5)


def test_gaussian_ssim_agrees_with_scikit_image():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(32, 40)).astype(np.float32)
    b = (a + 0.3 * rng.normal(size=a.shape)).astype(np.float32)
    _, full = structural_similarity(
        a, b, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    found = ssim_gaussian(torch.from_numpy(a)[None, None], torch.from_numpy(b)[None, None]).item()
    assert found == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-4)


def test_f_down_averages_blocks_and_f_up_repeats_pixels():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert f_down(image, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert f_up(torch.tensor([[[[1.0, 2.0]]]]), 2).flatten().tolist() == [1, 1, 2, 2, 1, 1, 2, 2]


def test_f_down_undoes_f_up():
    image = torch.rand(2, 1, 5, 7)
    assert torch.allclose(f_down(f_up(image, 8), 8), image, atol=1e-6)


def test_distances_of_known_images():
    a, b = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, -3.0]]]])
    assert distance(a, b, "l2").item() == 5
    assert distance(a, b, "l1").item() == 2


def test_mmsr_terms_vanish_when_both_enlargements_are_consistent():
    low, high = (
        torch.rand(2, 1, 12, 12),
        torch.rand(2, 1, 12, 12).repeat_interleave(4, -1).repeat_interleave(4, -2),
    )
    terms = mmsr_terms(low, f_up(low, 4), high, f_down(high, 4), 4)
    assert set(terms) == {"ssim_clinical", "ssim_micro", "downsample", "upsample"}
    assert all(value.item() == pytest.approx(0, abs=1e-5) for value in terms.values())


def test_mmsr_downsample_term_is_the_mean_squared_difference():
    low = torch.zeros(1, 1, 12, 12)
    terms = mmsr_terms(low, torch.full((1, 1, 24, 24), 0.5), torch.zeros(1, 1, 24, 24), low, 2)
    assert terms["downsample"].item() == pytest.approx(0.25)
    assert terms["upsample"].item() == 0


def test_history_returns_new_images_until_full_then_old_ones_half_the_time():
    buffer = HistoryBuffer(4, seed=0)
    first = torch.arange(4.0).view(4, 1, 1, 1)
    assert torch.equal(buffer(first), first)
    old = sum(int(buffer(torch.full((1, 1, 1, 1), 100.0 + step)).item() < 100 + step) for step in range(400))
    assert 140 < old < 260


def test_history_goes_on_exactly_from_its_saved_state():
    one, other = HistoryBuffer(3, seed=5), HistoryBuffer(3, seed=9)
    images = torch.rand(20, 2, 1, 2, 2)
    for image in images[:10]:
        one(image)
    other.load_state_dict(one.state_dict())
    for image in images[10:]:
        assert torch.equal(one(image), other(image))


def test_history_of_no_capacity_passes_through_detached():
    image = torch.rand(2, 1, 3, 3, requires_grad=True)
    passed = HistoryBuffer(0)(image)
    assert torch.equal(passed, image)
    assert not passed.requires_grad
