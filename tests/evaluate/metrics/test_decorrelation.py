"""Decorrelation analysis finds the band limit of an image."""

import numpy as np
import pytest

from ctloupe.evaluate.metrics.decorrelation import decorrelation_curve, decorrelation_resolution

SIDE = 192


def band_limited(cutoff, noise, seed=0):
    """White texture up to `cutoff` (of Nyquist) under white noise."""
    random = np.random.default_rng(seed)
    spectrum = np.fft.fft2(random.normal(size=(SIDE, SIDE)))
    radius = 2 * np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None])
    spectrum[radius > cutoff] = 0
    image = np.fft.ifft2(spectrum).real
    return image / image.std() + random.normal(0, noise, (SIDE, SIDE))


@pytest.mark.parametrize("cutoff", [0.25, 0.5, 0.75])
def test_the_cut_off_of_a_band_limited_image_is_found(cutoff):
    found = decorrelation_resolution(band_limited(cutoff, 0.1), 0.1)
    assert found == pytest.approx(0.2 / cutoff, rel=0.12)


def test_it_cannot_tell_true_detail_from_invented():
    assert decorrelation_resolution(band_limited(0.6, 0.1, 1), 1.0) == pytest.approx(
        decorrelation_resolution(band_limited(0.6, 0.1, 2), 1.0), rel=0.1
    )


def test_the_curve_is_that_of_brute_force():
    image = np.random.default_rng(3).normal(size=(31, 40))
    window = np.hanning(31)[:, None] * np.hanning(40)[None]
    spectrum = np.fft.fft2((image - image.mean()) * window)
    radius = 2 * np.hypot(np.fft.fftfreq(31)[:, None], np.fft.fftfreq(40)[None])
    whole = (radius > 0) & (radius <= 1)
    radii = np.array([0.3, 0.7, 1.0])
    wanted = []
    for limit in radii:
        inside = whole & (radius <= limit)
        unit = spectrum[inside] / np.abs(spectrum[inside])
        cross = np.sum(spectrum[inside] * unit.conj()).real
        wanted.append(cross / np.sqrt(np.sum(np.abs(spectrum[whole]) ** 2) * np.sum(np.abs(unit) ** 2)))
    assert decorrelation_curve(image, radii) == pytest.approx(np.array(wanted))


def test_noise_and_detail_up_to_the_finest_frequency_cannot_be_told_apart():
    assert np.isnan(decorrelation_resolution(np.random.default_rng(0).normal(size=(192, 192)), 1.0))
    assert np.isnan(decorrelation_resolution(np.zeros((64, 64)), 1.0))
