"""Deliberately bad enhancers end up where they belong, each caught by the metric that is made for it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from ctloupe.evaluate.protocols import compare_with_truth, interpolated
from ctloupe.phantom.phantom import make_lung, truth_on_clinical_slices


def shuffled(truth, smooth):
    """The truth's coarse content with detail of the same texture, moved to where it does not belong."""
    detail = truth - smooth
    return smooth + np.roll(detail, (171, 233), (1, 2))


@pytest.fixture(scope="module")
def rows():
    case = make_lung((8, 64, 64), 7)
    scan, truth = case.clinical, truth_on_clinical_slices(case.truth, case.clinical)
    real = truth.array().astype(np.float32)
    smooth = gaussian_filter(real, (0, 4, 4))
    textured = shuffled(real, smooth)
    made = {
        "truth": real,
        "half a scan voxel off": shift(real, (0, 0, 4), order=1, mode="nearest"),
        "blurred": gaussian_filter(real, (0, 2, 2)),
        "noisy": real + np.random.default_rng(0).normal(0, 150, real.shape),
        "sharpened": real + 1.5 * (real - gaussian_filter(real, (0, 1, 1))),
        "texture in the wrong place": textured,
        "texture in the wrong place, blurred": gaussian_filter(textured, (0, 2, 2)),
    }
    volumes = {name: truth.with_data(values.astype(np.float32)) for name, values in made.items()}
    return compare_with_truth(scan, volumes | {"bicubic again": interpolated(scan, 8)}, truth).rows


def test_the_truth_is_first_in_everything(rows):
    for name, row in rows.items():
        if name != "truth":
            assert row["PSNR (dB)"] < rows["truth"]["PSNR (dB)"]
            assert row["resolution (mm)"] >= rows["truth"]["resolution (mm)"]
            assert row["spectrum distance (dB)"] > rows["truth"]["spectrum distance (dB)"] == 0


def test_blurring_misplaced_texture_raises_psnr_and_is_caught_by_the_spectrum(rows):
    wrong, blurred = rows["texture in the wrong place"], rows["texture in the wrong place, blurred"]
    assert blurred["PSNR (dB)"] > wrong["PSNR (dB)"]
    assert blurred["spectrum distance (dB)"] > 3 * wrong["spectrum distance (dB)"]


def test_misplaced_texture_has_the_right_spectrum_and_no_more_resolution_than_a_blur(rows):
    wrong = rows["texture in the wrong place"]
    assert wrong["spectrum distance (dB)"] < rows["bicubic"]["spectrum distance (dB)"]
    assert wrong["resolution (mm)"] > 3 * rows["truth"]["resolution (mm)"]
    assert wrong["PSNR (dB)"] < rows["blurred"]["PSNR (dB)"]


def test_half_a_voxel_is_seen_by_resolution_and_psnr_and_hardly_by_the_spectrum(rows):
    moved = rows["half a scan voxel off"]
    assert moved["resolution (mm)"] > 2 * rows["truth"]["resolution (mm)"]
    assert moved["PSNR (dB)"] < rows["blurred"]["PSNR (dB)"]
    assert moved["spectrum distance (dB)"] < rows["bicubic"]["spectrum distance (dB)"] / 3


def test_sharpening_and_noise_are_seen_by_the_spectrum_and_psnr(rows):
    for name in ("sharpened", "noisy"):
        assert rows[name]["spectrum distance (dB)"] > 1
        assert rows[name]["PSNR (dB)"] < 25
    # Sharpening keeps phase: the correlation of rings does not see it.
    assert rows["sharpened"]["resolution (mm)"] == pytest.approx(rows["truth"]["resolution (mm)"], rel=0.1)


def test_what_blur_does_to_resolution_without_noise_is_nothing_and_is_left_to_the_spectrum(rows):
    assert rows["blurred"]["spectrum distance (dB)"] > 10 * rows["half a scan voxel off"]["spectrum distance (dB)"] / 3
