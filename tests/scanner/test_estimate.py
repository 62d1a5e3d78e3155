"""The estimated scanner against one that is known because the test built it."""

from functools import cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctloupe.images.windows import IntensityWindow
from ctloupe.scanner.anatomy import AnatomySpectra
from ctloupe.scanner.estimate import (
    ScannerEstimate,
    estimate_blur_and_noise,
    estimate_scanner,
)
from ctloupe.scanner.noise import NoiseSpectrum, coloured
from ctloupe.scanner.voxel import block_mean
from textured_islands import textured_islands

SCALE = 4


@cache
def anatomy(count, seed):
    return textured_islands(count, seed, 32 * SCALE)


def scanned(images, blur, noise, rise, roll_off, gain, offset, seed=5):
    sigma = blur * SCALE
    blurred = gaussian_filter(images, (0, sigma, sigma), mode="nearest")
    n, h, w = images.shape
    low = blurred.reshape(n, h // SCALE, SCALE, w // SCALE, SCALE).mean((2, 4)) * gain + offset
    white = np.random.default_rng(seed).standard_normal(low.shape)
    shaped = coloured(white, NoiseSpectrum(rise, roll_off).amplitude(*low.shape[1:]))
    return (low + noise * shaped).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("blur", "noise", "gain", "offset"), [(0.4, 0.03, 1.0, 0.0), (0.7, 0.06, 0.8, -0.1), (0.2, 0.02, 1.2, 0.1)]
)
def test_a_known_scanner_is_found_from_unpaired_images(blur, noise, gain, offset):
    clinical = scanned(anatomy(96, 1), blur, noise, 1.0, 0.3, gain, offset)
    found = estimate_scanner(clinical, anatomy(96, 2), SCALE)
    assert found.blur == pytest.approx(blur, abs=0.2)
    assert found.noise == pytest.approx(noise, rel=0.35)
    assert found.gain == pytest.approx(gain, rel=0.08)
    assert found.offset == pytest.approx(offset, abs=0.06)


@pytest.fixture(scope="module")
def foam():
    """Images whose flat places are filled with faint walls, so that no region is smooth, and their spectra."""
    field = gaussian_filter(np.random.default_rng(3).standard_normal((96, 128, 128)), (0, 3, 3))
    walls = gaussian_filter((np.abs(field) < 0.35 * field.std()).astype(np.float32), (0, 0.7, 0.7))
    images = (anatomy(96, 1) + 0.2 * walls).astype(np.float32)
    return images[:48], AnatomySpectra.of(images[48:], SCALE)


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
def test_walls_in_the_smoothest_regions_are_not_taken_for_noise(foam, noise):
    images, spectra = foam
    found = estimate_blur_and_noise(scanned(images, 0.4, noise, 0.5, 0.4, 1.0, 0.0), spectra)
    assert found.noise == pytest.approx(noise, rel=0.35)
    assert found.blur == pytest.approx(0.4, abs=0.1)


def test_without_knowing_how_smooth_the_anatomy_is_walls_are_noise(foam):
    images, spectra = foam
    clinical = scanned(images, 0.4, 0.01, 0.5, 0.4, 1.0, 0.0)
    assert estimate_blur_and_noise(clinical, AnatomySpectra(spectra.power)).noise > 0.03


def test_values_that_are_cut_off_do_not_count_as_smooth():
    clinical = scanned(anatomy(64, 1), 0.4, 0.03, 0.0, 1.0, 1.0, 0.0)
    cut = clinical.clip(np.quantile(clinical, 0.3), None)
    spectra = AnatomySpectra.of(anatomy(64, 2), SCALE)
    assert estimate_blur_and_noise(cut, spectra).noise == pytest.approx(0.03, rel=0.5)


def test_a_scanner_without_noise_is_not_given_much():
    clinical = scanned(anatomy(64, 1), 0.4, 0.0, 1.0, 0.3, 1.0, 0.0)
    assert estimate_scanner(clinical, anatomy(64, 2), SCALE).noise < 0.01


def test_patches_without_contrast_are_refused():
    flat = np.zeros((4, 32, 32), np.float32)
    with pytest.raises(ValueError, match="contrast"):
        estimate_scanner(flat, anatomy(4, 0), SCALE)


def test_the_record_of_an_estimate_is_in_millimetres_and_hu():
    found = ScannerEstimate(0.5, 0.04, 1.0, 0.3, 0.9, -0.1, 0.02)
    clinical, micro = IntensityWindow(-1000, 400), IntensityWindow(2500, 15000)
    scanner = found.scanner((5.0, 0.8, 0.8), clinical, micro)
    assert (scanner.blur, scanner.blur_voxels) == (pytest.approx(0.4), pytest.approx(0.5))
    assert scanner.noise == pytest.approx(0.04 * 700)
    assert scanner.slice_profile.thickness == 5.0
    raw = np.array([2500.0, 8000.0, 15000.0], np.float32)
    expected = clinical.from_unit((0.9 * micro.to_unit(raw) - 0.1).astype(np.float32))
    assert np.allclose(scanner.gain * raw + scanner.offset, expected, atol=1e-2)


def test_spectra_of_the_micro_ct_are_enough_for_blur_and_noise():
    fine = np.random.default_rng(0).normal(0, 0.3, (48, 128, 128)).astype(np.float32)
    fine = gaussian_filter(fine, (0, 2, 2)) * 3
    clinical = block_mean(gaussian_filter(fine, (0, 2.4, 2.4)), 4)
    whole = estimate_scanner(clinical, fine, 4)
    found = estimate_blur_and_noise(clinical, AnatomySpectra.of(fine, 4))
    assert (found.blur, found.noise, found.misfit) == (whole.blur, whole.noise, whole.misfit)
    with pytest.raises(ValueError, match="24 pixels do not go with spectra of 32"):
        estimate_blur_and_noise(clinical[:, :24, :24], AnatomySpectra.of(fine, 4))
