"""Paired phantom: every number, on which grid, and what is refused."""

import re
from dataclasses import replace

import numpy as np
import pytest

from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.metrics.fidelity import DATA_RANGE_HU, mae, psnr, ssim_windowed
from ctloupe.evaluate.metrics.texture import Unpaired, texture_of
from ctloupe.evaluate.protocols.paired_phantom import PAIRED_PHANTOM, compare_with_truth
from ctloupe.evaluate.suite.controls import misplaced_texture
from ctloupe.foundation.errors import GeometryError, OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.phantom.clinical_slices import labels_on_clinical_slices, truth_on_clinical_slices
from ctloupe.phantom.phantom import make_phantom
from ctloupe.volume.volume import Volume


@pytest.fixture(scope="module")
def case():
    made = make_phantom("lung", (16, 96, 96), 5)
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
    assert found.protocol == "paired-phantom, version 1"
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


def test_every_number_carries_its_definition_and_direction_and_the_record_names_its_data(case):
    scan, truth = case
    found = compare_with_truth(scan, {"x": interpolated(scan, 8)}, truth)
    labels = {metric.label for metric in PAIRED_PHANTOM.metrics}
    assert set(found.definitions) == set(found.better) == set(found.rows["x"]) <= labels
    assert set(found.data) == {"scan", "truth"}
    assert compare_with_truth(scan, {"x": interpolated(scan, 8)}, truth).data == found.data
    other = truth.with_data(truth.array() + 1)
    assert compare_with_truth(scan, {"x": interpolated(scan, 8)}, other).data["truth"] != found.data["truth"]
    slices = found.facts["slice by slice"]["x"]
    assert [one["slice"] for one in slices] == [0, 1]
    assert np.mean([one["MAE (HU)"] for one in slices]) == pytest.approx(found.rows["x"]["MAE (HU)"], rel=1e-5)


def test_an_empty_mask_is_refused(case):
    scan, truth = case
    with pytest.raises(OptionError, match="mask is empty"):
        compare_with_truth(scan, {"x": interpolated(scan, 8)}, truth, np.zeros(scan.shape, bool))


def test_labels_add_structures_and_the_limit_that_the_truth_sets_by_the_same_rule():
    made = make_phantom("lung", (16, 256, 256), 11)
    scan, truth = made.clinical, truth_on_clinical_slices(made.truth, made.clinical)
    labels = labels_on_clinical_slices(made.labels, scan)
    found = compare_with_truth(scan, {"truth again": truth}, truth, labels=labels)
    for metric, limit in found.limits.items():
        assert found.rows["truth again"][metric] == pytest.approx(limit, nan_ok=True)
    assert found.limits["vessel Dice"] > 0.6
    assert found.limits["wall thickness error (mm)"] < 0.1 < found.rows["bicubic"]["wall thickness error (mm)"]
    assert found.rows["bicubic"]["edge width (mm)"] > 2 * found.limits["edge width (mm)"]
    assert set(found.facts["by size"]) == {"bicubic", "truth again", "truth"}
    # Its slices of 0.625 mm are too thick for trees, and the record says so.
    assert {"0.6", "0.4"} <= set(re.findall(r"apart, and (\S+) mm", " ".join(found.facts["trees"].values())))
    assert "vessel breaks (/cm)" not in found.rows["bicubic"]
    foreign = compare_with_truth(scan, {"x": truth}, truth, labels=labels.with_data(labels.array() + np.uint8(200)))
    assert set(foreign.limits) == {"mesh (dB)", "consistency χ²"} and "by size" not in foreign.facts
    assert "rules" not in foreign.facts and "vessel Dice" not in foreign.rows["x"]
    with pytest.raises(GeometryError, match="`labels`"):
        compare_with_truth(scan, {"x": truth}, truth, labels=labels.crop(slice(0, 1)))
    with pytest.raises(GeometryError, match="`labels`: lies elsewhere"):
        compare_with_truth(scan, {"x": truth}, truth, labels=replace(labels, origin=(500, 0, 0)))


@pytest.mark.slow
def test_unpaired_micro_ct_adds_realism_which_texture_in_the_wrong_place_wins():
    made, other = make_phantom("lung", (16, 192, 192), 5), make_phantom("lung", (16, 192, 192), 6)
    scan, truth = made.clinical, truth_on_clinical_slices(made.truth, made.clinical)
    wrong = truth.with_data(misplaced_texture(truth.array(), 8))
    look = texture_of(other.micro, IntensityWindow(2500, 15000), truth.spacing[1:])
    rows = compare_with_truth(
        scan, {"wrong": wrong}, truth, None, None, Unpaired(look, IntensityWindow(-1000, 400))
    ).rows
    for metric in ("spectrum distance to µCT (dB)", "sliced Wasserstein to µCT"):
        assert rows["wrong"][metric] < rows["bicubic"][metric] / 2
    assert rows["wrong"]["PSNR (dB)"] < rows["bicubic"]["PSNR (dB)"]
