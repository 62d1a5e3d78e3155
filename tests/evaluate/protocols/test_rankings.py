"""Deliberately bad enhancers end up where they belong, each caught by the metric that is made for it."""

import numpy as np
import pytest

from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.metrics.texture import Unpaired, texture_of
from ctloupe.evaluate.protocols.paired_phantom import compare_with_truth
from ctloupe.evaluate.suite.controls import CONTROLS, control_rows
from ctloupe.images.windows import IntensityWindow
from ctloupe.phantom.clinical_slices import labels_on_clinical_slices, truth_on_clinical_slices
from ctloupe.phantom.phantom import make_phantom

pytestmark = pytest.mark.slow

DB = "spectrum distance (dB)"
TO_MICRO = ("spectrum distance to µCT (dB)", "sliced Wasserstein to µCT")


@pytest.fixture(scope="module")
def rows():
    case, other = make_phantom("lung", (16, 256, 256), 7), make_phantom("lung", (16, 256, 256), 8)
    scan, truth = case.clinical, truth_on_clinical_slices(case.truth, case.clinical)
    truth = truth.with_data(truth.array())
    thick = truth_on_clinical_slices(case.truth, scan, "slab")
    labels = labels_on_clinical_slices(case.labels, scan)
    look = texture_of(other.micro, IntensityWindow(2500, 15000), truth.spacing[1:])
    volumes = {"truth": truth, **control_rows(truth, 8), "bicubic again": interpolated(scan, 8)}
    unpaired = Unpaired(look, IntensityWindow(-1000, 400))
    return compare_with_truth(scan, volumes, truth, None, labels, unpaired, thick).rows


def test_the_truth_is_first_in_everything_that_is_measured_against_it(rows):
    for name in CONTROLS:
        assert rows[name]["PSNR (dB)"] < rows["truth"]["PSNR (dB)"]
        assert rows[name]["SSIM"] < rows["truth"]["SSIM"]
        assert rows[name]["resolution (mm)"] >= rows["truth"]["resolution (mm)"]
        assert rows[name][DB] > rows["truth"][DB] == 0


def test_blur_raises_psnr_and_is_caught_by_spectrum_realism_and_edges(rows):
    wrong, blurred = rows["texture in the wrong place"], rows["texture in the wrong place, blurred"]
    assert blurred["PSNR (dB)"] > wrong["PSNR (dB)"]
    assert blurred[DB] > 3 * wrong[DB]
    for metric in TO_MICRO:
        assert blurred[metric] > 3 * wrong[metric]
        assert rows["blurred"][metric] > 3 * rows["truth"][metric]
    assert rows["blurred"]["edge width (mm)"] > 1.5 * rows["truth"]["edge width (mm)"]
    assert rows["blurred"]["wall thickness error (mm)"] > 2 * rows["truth"]["wall thickness error (mm)"]


def test_copied_texture_is_realistic_and_not_true(rows):
    wrong = rows["texture in the wrong place"]
    for metric in (DB, *TO_MICRO):
        assert wrong[metric] < rows["bicubic"][metric] / 3
    assert wrong["resolution (mm)"] > 3 * rows["truth"]["resolution (mm)"]
    assert wrong["PSNR (dB)"] < min(rows["blurred"]["PSNR (dB)"], rows["bicubic"]["PSNR (dB)"])


def test_copied_texture_invents_structures_and_loses_true_ones(rows):
    wrong = rows["texture in the wrong place"]
    assert wrong["false lumens (/cm³)"] > 3 * rows["truth"]["false lumens (/cm³)"]
    assert wrong["missed vessels (/cm³)"] > 3 * rows["truth"]["missed vessels (/cm³)"]
    assert wrong["lumen Dice"] < rows["truth"]["lumen Dice"] / 2


def test_bicubic_invents_least_and_loses_most(rows):
    assert rows["bicubic"]["false vessels (/cm³)"] == min(row["false vessels (/cm³)"] for row in rows.values())
    assert rows["bicubic"]["missed vessels (/cm³)"] == max(row["missed vessels (/cm³)"] for row in rows.values())


def test_half_a_voxel_is_seen_by_resolution_psnr_and_consistency_and_not_by_texture(rows):
    moved = rows["half a scan voxel off"]
    assert moved["resolution (mm)"] > 2 * rows["truth"]["resolution (mm)"]
    assert moved["PSNR (dB)"] < rows["bicubic"]["PSNR (dB)"]
    assert moved["consistency RMS (HU)"] > 1.2 * rows["truth"]["consistency RMS (HU)"]
    assert moved["consistency χ²"] > 1.5 * rows["truth"]["consistency χ²"]
    assert moved["vessel surface distance (mm)"] > 1.2 * rows["truth"]["vessel surface distance (mm)"]
    for metric in TO_MICRO:
        assert moved[metric] == pytest.approx(rows["truth"][metric], rel=0.2, abs=0.02)


def test_sharpening_and_noise_are_seen_by_spectrum_and_psnr_and_not_by_resolution(rows):
    for name in ("sharpened", "noisy"):
        assert rows[name][DB] > 1
        assert rows[name]["PSNR (dB)"] < 25
        # Ring correlation asks for phase: what is there stays in its place.
        assert rows[name]["resolution (mm)"] == pytest.approx(rows["truth"]["resolution (mm)"], rel=0.1)
    assert rows["sharpened"]["edge width (mm)"] < rows["truth"]["edge width (mm)"]


def test_a_faint_mesh_is_seen_by_its_metric_and_by_nothing_else(rows):
    meshed, truth = rows["meshed"], rows["truth"]
    assert meshed["mesh (dB)"] > truth["mesh (dB)"] + 3
    others = [row["mesh (dB)"] for name, row in rows.items() if name != "meshed"]
    assert meshed["mesh (dB)"] > max(others) + 3
    assert meshed["PSNR (dB)"] > rows["noisy"]["PSNR (dB)"] + 6
    assert meshed["resolution (mm)"] == pytest.approx(truth["resolution (mm)"], rel=0.1)
    assert meshed[DB] < 1
    for metric in TO_MICRO:
        assert meshed[metric] == pytest.approx(truth[metric], rel=0.2, abs=0.1)


def test_what_blur_without_noise_does_is_left_to_the_spectrum(rows):
    assert rows["blurred"]["resolution (mm)"] < rows["bicubic"]["resolution (mm)"] / 2
    assert rows["blurred"][DB] > 10 * rows["noisy"][DB]
    assert np.isfinite(rows["blurred"]["m-HuM (I2)"])
