"""Noise: its spectrum, its level, and images of it."""

import numpy as np
import pytest

from ctloupe.scanner.estimate_noise import estimate_noise
from ctloupe.scanner.noise import NoiseSpectrum, coloured, exact_noise, plane_frequency, radial_spectrum


@pytest.mark.parametrize("shape", [(32, 32), (24, 31)])
def test_coloured_noise_has_the_variance_of_the_white_and_the_shape_of_the_spectrum(shape):
    spectrum = NoiseSpectrum(1.0, 0.3)
    white = np.random.default_rng(0).standard_normal((600, *shape))
    noise = coloured(white, spectrum.amplitude(*shape))
    assert noise.var() == pytest.approx(1, rel=0.03)
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(0) / np.prod(shape)
    expected = spectrum.power(plane_frequency(*shape))
    assert np.corrcoef(power.ravel(), expected.ravel())[0, 1] > 0.95


def test_white_noise_has_its_variance_at_every_frequency():
    power, frequency = radial_spectrum(np.random.default_rng(0).normal(0, 3, (400, 32, 32)).astype(np.float32))
    assert frequency[0] == 2 / 32 and frequency[-1] == 0.5
    assert np.allclose(power, 9, rtol=0.1)


def test_exact_noise_has_the_asked_deviation_no_mean_and_little_power_at_low_frequencies():
    noise = exact_noise((4, 96, 96), 20.0, NoiseSpectrum(1.0, 0.3), np.random.default_rng(0))
    assert noise.std() == pytest.approx(20, rel=1e-3)
    assert np.abs(noise.mean((1, 2))).max() < 1e-4
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(0)
    frequency = plane_frequency(96, 96)
    bands = [power[(frequency > low) & (frequency < low + 0.04)].mean() for low in (0.01, 0.08, 0.18)]
    assert bands[0] < 0.5 * bands[1] < 0.9 * bands[2]


@pytest.mark.parametrize(("roll_off", "fine"), [(0.2, False), (0.6, True)])
def test_noise_is_found_in_the_smooth_parts_of_patches(roll_off, fine):
    random = np.random.default_rng(0)
    patches = exact_noise((60, 32, 32), 20.0, NoiseSpectrum(1.0, roll_off), random)
    patches[20:] += random.normal(0, 200, (40, 32, 32)).astype(np.float32)
    found = estimate_noise(patches)
    assert found.noise == pytest.approx(20, rel=0.35)
    middle = found.spectrum.power(np.array([0.2, 0.45]))
    assert (middle[1] > 0.5 * middle[0]) == fine
    assert len(found.power) == len(found.frequency)


def test_too_few_or_constant_patches_hold_no_noise():
    with pytest.raises(ValueError, match="too few"):
        estimate_noise(np.ones((1, 32, 32), np.float32))
    with pytest.raises(ValueError, match="constant"):
        estimate_noise(np.ones((8, 32, 32), np.float32))
