"""Resolution falls with blur as theory says, and a shift or noise is seen for what it is."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from ctloupe.evaluate.metrics.resolution import RingCorrelator, half_bit

SIZE, PIXEL = 256, 0.05


def texture(seed=0):
    return gaussian_filter(np.random.default_rng(seed).normal(0, 100, (SIZE, SIZE)), 0.7)


def correlation(one, other):
    rings = RingCorrelator((SIZE, SIZE), (PIXEL, PIXEL))
    rings.add(one, other)
    return rings.result()


def test_an_image_agrees_with_itself_up_to_nyquist():
    found = correlation(texture(), 3 * texture() + 50)
    assert found.correlation.min() > 0.999
    assert found.crossing() == pytest.approx(2 * PIXEL, rel=0.02)


def test_unrelated_textures_are_not_resolved():
    found = correlation(texture(0), texture(1))
    assert np.abs(found.correlation[5:]).max() < 0.4
    assert found.crossing() > 20 * PIXEL


@pytest.mark.parametrize("cutoff", [0.2, 0.5, 0.8])
def test_frequencies_replaced_by_noise_end_the_resolution_where_they_begin(cutoff):
    truth, other = np.fft.rfft2(texture(0)), np.fft.rfft2(texture(1))
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None])
    mixed = np.fft.irfft2(np.where(frequency < 0.5 * cutoff, truth, other), (SIZE, SIZE))
    expected = 2 * PIXEL / cutoff
    assert correlation(texture(), mixed).crossing() == pytest.approx(expected, rel=0.06)
    assert correlation(texture(), mixed).crossing("half-bit") == pytest.approx(expected, rel=0.06)


def test_correlation_with_white_noise_added_is_that_of_its_power():
    # Equal power of signal and noise in every ring: FRC = 1 / √2.
    signal, noise = (np.random.default_rng(seed).normal(0, 1, (SIZE, SIZE)) for seed in (1, 2))
    found = correlation(signal, signal + noise)
    assert np.average(found.correlation, weights=found.pairs) == pytest.approx(1 / np.sqrt(2), abs=0.01)


def test_a_shift_lowers_it_at_high_frequencies_first():
    moved = shift(texture(), (0, 1.0), order=3, mode="wrap")
    found = correlation(texture(), moved)
    assert found.correlation[:10].mean() > 0.95 > found.correlation[-20:].mean()
    # Averaged over directions, a shift by d multiplies a ring by J₀(2π·f·d).
    from scipy.special import j0

    assert np.abs(found.correlation - j0(2 * np.pi * found.frequency * PIXEL))[:100].max() < 0.15


def test_a_blur_alone_is_not_a_loss_of_correlation():
    # Linear blur keeps phase, so FRC cannot see it without noise: this is what it does not measure.
    found = correlation(texture(), gaussian_filter(texture(), 1.0, mode="wrap"))
    assert found.correlation[:60].min() > 0.95


def test_the_half_bit_curve_is_the_published_formula_and_falls_with_the_number_of_coefficients():
    assert half_bit(np.array([100]))[0] == pytest.approx((0.2071 + 0.19102) / (1.2071 + 0.09102))
    assert np.all(np.diff(half_bit(np.arange(1, 1000))) <= 0)
