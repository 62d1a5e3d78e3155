"""Protocols: what is compared with what, on which grid, and under which name."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.fidelity import mae, psnr, ssim_windowed
from ctloupe.evaluate.protocols import (
    DATA_RANGE_HU,
    compare_by_hu_moments,
    compare_by_jmi,
    compare_synthesised,
    compare_with_truth,
    interpolated,
    shrink_cubic,
)
from ctloupe.evaluate.tissues import tissue_errors
from ctloupe.phantom.phantom import make_lung, truth_on_clinical_slices
from ctloupe.prepare.intensity import IntensityWindow
from ctloupe.volume.errors import GeometryError, OptionError
from ctloupe.volume.volume import Volume


@pytest.fixture(scope="module")
def case():
    made = make_lung((16, 96, 96), 5)
    return made.clinical, truth_on_clinical_slices(made.truth, made.clinical)


def test_bicubic_is_the_first_row_and_the_truth_itself_is_perfect(case):
    scan, truth = case
    found = compare_with_truth(scan, {"perfect": truth}, truth)
    assert list(found.rows) == ["bicubic", "perfect"]
    perfect = found.rows["perfect"]
    assert perfect["PSNR (dB)"] == float("inf")
    assert (perfect["SSIM"], perfect["MAE (HU)"]) == pytest.approx((1, 0))
    assert found.rows["bicubic"]["PSNR (dB)"] < 40
    assert set(found.definitions) == set(perfect)
    assert found.protocol == "paired-truth, version 2"
    assert perfect["resolution (mm)"] == pytest.approx(2 * truth.spacing[1], rel=0.1)
    assert perfect["spectrum distance (dB)"] == 0 < found.rows["bicubic"]["spectrum distance (dB)"]
    assert found.rows["bicubic"]["resolution (mm)"] > perfect["resolution (mm)"]
    assert "Research use only" in found.notice


@pytest.mark.parametrize("masked", [False, True])
def test_numbers_gathered_slice_by_slice_are_those_of_the_whole_volume(case, masked):
    scan, truth = case
    mask = np.random.default_rng(0).random(scan.shape) < 0.4 if masked else None
    fine = None if mask is None else mask.repeat(8, 1).repeat(8, 2)
    made, real = interpolated(scan, 8).array().astype(np.float32), truth.array()
    row = compare_with_truth(scan, {"x": interpolated(scan, 8)}, truth, mask).rows["x"]
    assert row["PSNR (dB)"] == pytest.approx(psnr(made, real, data_range=DATA_RANGE_HU, mask=fine), abs=1e-3)
    assert row["MAE (HU)"] == pytest.approx(mae(made, real, fine), rel=1e-4)
    assert row["SSIM"] == pytest.approx(ssim_windowed(made, real, data_range=DATA_RANGE_HU, mask=fine), rel=1e-4)


def test_without_truth_there_is_consistency_only(case):
    scan, _ = case
    found = compare_with_truth(scan, {"x": interpolated(scan, 8)}, None)
    assert "no-truth" in found.protocol
    assert all("consistency" in name for name in found.rows["bicubic"])


def test_volumes_that_lie_elsewhere_are_refused(case):
    scan, truth = case
    fine = interpolated(scan, 8)
    shifted = fine.with_data(fine.data, origin=(fine.origin[0] + fine.spacing[2], *fine.origin[1:]))
    with pytest.raises(GeometryError, match="elsewhere"):
        compare_with_truth(scan, {"x": shifted}, truth)
    turned = fine.with_data(fine.data, direction=((-1, 0, 0), (0, 1, 0), (0, 0, -1)))
    with pytest.raises(GeometryError, match="oriented"):
        compare_with_truth(scan, {"x": turned}, truth)
    with pytest.raises(GeometryError, match="whole in-plane multiple"):
        compare_with_truth(scan, {"x": Volume(np.zeros((2, 90, 96)), (1, 1, 1))}, truth)
    with pytest.raises(OptionError):
        compare_with_truth(scan, {}, truth)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_shrinking_samples_the_coarse_voxel_centres_without_antialiasing(scale):
    image = np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32)
    at = [(np.arange(n // scale) + 0.5) * scale - 0.5 for n in image.shape]
    oracle = map_coordinates(image, np.meshgrid(*at, indexing="ij"), order=3, mode="nearest")
    assert np.abs(shrink_cubic(image, scale) - oracle)[2:-2, 2:-2].max() < 1e-3


def test_the_jmi_protocol_counts_whole_patches_and_gives_its_own_metrics():
    micro = Volume(np.random.default_rng(0).normal(6000, 2500, (2, 70, 100)).astype(np.int16), (0.1, 0.1, 0.1))
    resolver = load_model("bicubic", 2)
    found = compare_by_jmi(micro, resolver, IntensityWindow(0, 15000))
    assert found.facts["patches"] == 2 * 1 * 1
    assert found.protocol.startswith("jmi")
    assert set(found.rows["bicubic"]) == {"PSNR peak 1 (dB)", "SSIM one window"}
    assert compare_by_jmi(micro, resolver, IntensityWindow(0, 15000), patches=1).facts["patches"] == 1
    with pytest.raises(GeometryError, match="smaller than one patch"):
        compare_by_jmi(micro, load_model("bicubic", 8), IntensityWindow(0, 15000))


def test_a_smooth_image_is_recovered_well_under_the_jmi_protocol():
    y, x = np.mgrid[:128, :128]
    smooth = (7500 + 3000 * np.sin(y / 30) * np.cos(x / 25)).astype(np.float32)[None]
    row = compare_by_jmi(Volume(smooth, (1, 1, 1)), load_model("bicubic", 2), IntensityWindow(0, 15000)).rows["bicubic"]
    assert row["PSNR peak 1 (dB)"] > 40
    assert row["SSIM one window"] > 0.999


def test_errors_by_tissue_are_those_of_its_voxels():
    truth = Volume(np.array([[[-1000.0, -800.0, 40.0, 40.0]]]), (1, 1, 1), units="HU")
    labels = Volume(np.array([[[2, 1, 4, 4]]], np.uint8), (1, 1, 1))
    made = Volume(np.array([[[-990.0, -800.0, 30.0, 60.0]]]), (1, 1, 1), units="HU")
    found = tissue_errors({"x": made}, truth, labels, {1: "parenchyma", 2: "lumen", 4: "artery", 7: "nodule"})
    assert list(found) == ["parenchyma", "lumen", "artery"]
    assert found["lumen"].bias_hu["x"] == pytest.approx(10)
    artery = found["artery"]
    assert (artery.voxels, artery.truth_hu) == (2, 40)
    assert (artery.bias_hu["x"], artery.mae_hu["x"]) == pytest.approx((5, 15))


def test_the_synthesised_protocol_enhances_what_the_network_makes_of_each_patch():
    values = np.random.default_rng(3).integers(0, 15000, (2, 64, 64)).astype(np.int16)
    micro = Volume(values, (0.1, 0.1, 0.1), modality="micro")
    window = IntensityWindow(0, 15000)
    resolver = replace(load_model("bicubic", 2), patch_size=16)
    seen = []

    def shrunk(fine):
        seen.append(fine.shape)
        return torch.nn.functional.avg_pool2d(fine, 2)

    found = compare_synthesised(micro, resolver, shrunk, window, patches=3)
    assert found.protocol == "synth, version 1" and found.facts["patches"] == 3
    assert seen == [(1, 1, 32, 32)] * 3
    # A network that knows the answer: nearest enlargement of what it shrinks is the original of a blocky image.
    blocky = values[:, ::2, ::2].repeat(2, 1).repeat(2, 2)
    nearest = replace(load_model("nearest", 2), patch_size=16)
    perfect = compare_synthesised(micro.with_data(blocky, "blocks"), nearest, shrunk, window)
    assert perfect.rows["nearest"]["SSIM one window"] == pytest.approx(1, abs=1e-5)
    assert perfect.rows["bicubic"]["SSIM one window"] < 0.99


def test_the_hu_moment_protocol_is_zero_for_slices_that_are_among_the_specimens():
    scan = Volume(np.random.default_rng(0).normal(-700, 150, (3, 20, 20)).astype(np.int16), (1, 1, 1), units="HU")
    fine = load_model("bicubic", 2).enhance(scan)
    window = IntensityWindow(-1000, 400)
    same = compare_by_hu_moments({"same": fine}, scan, fine.with_data(np.asarray(fine.data), "copy"), window, window)
    assert same.protocol == "isbi, version 1" and list(same.rows) == ["bicubic", "same"]
    assert same.rows["same"]["m-HuM"] == 0
    other = fine.with_data(np.asarray(fine.data)[:, :, ::-1] // 2 - 600, "another")
    assert compare_by_hu_moments({"same": fine}, scan, other, window, window).rows["same"]["m-HuM"] > 0
