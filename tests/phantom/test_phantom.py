"""A case: truth, labels and both scans belong together, in memory and on disk."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ctloupe.foundation.errors import FileError, GeometryError, OptionError
from ctloupe.phantom.clinical_slices import labels_on_clinical_slices, truth_on_clinical_slices
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom
from ctloupe.volume.formats import read
from ctloupe.volume.geometry import as_direction, refined_grid


@pytest.fixture(scope="module")
def case():
    direction = as_direction(Rotation.from_euler("xyz", [0.2, -0.4, 0.3]).as_matrix())
    return make_phantom("lung", (24, 48, 64), 9, PhantomConfig(origin=(5.0, -6.0, 7.0), direction=direction))


def test_all_four_volumes_cover_the_same_space(case):
    volumes = (case.clinical, case.micro, case.truth, case.labels)
    for corner in ((-0.5, -0.5, -0.5), None):
        points = [one.physical(corner or tuple(n - 0.5 for n in one.shape)) for one in volumes]
        assert np.allclose(points, points[0], atol=1e-9)


def test_the_truth_for_an_in_plane_enhancer_lies_on_the_finer_grid_of_the_scan(case):
    for mode in ("centre", "slab"):
        found = truth_on_clinical_slices(case.truth, case.clinical, mode)
        spacing, origin = refined_grid(case.clinical.spacing, case.clinical.origin, case.clinical.direction, 8)
        assert found.shape == (3, 48, 64)
        assert found.spacing == pytest.approx(spacing)
        assert found.origin == pytest.approx(origin)


def test_centre_is_the_middle_plane_and_slab_the_mean_over_the_slice(case):
    hu = case.truth.array().astype(np.float32)
    centre = truth_on_clinical_slices(case.truth, case.clinical, "centre").array()
    slab = truth_on_clinical_slices(case.truth, case.clinical, "slab").array()
    assert np.allclose(centre[1], (hu[11] + hu[12]) / 2)
    assert np.allclose(slab[1], hu[8:16].mean(0), atol=1e-3)
    marked = labels_on_clinical_slices(case.labels, case.clinical).array()
    assert np.array_equal(marked[1], case.labels.array()[12])


def test_a_part_of_the_scan_gets_its_part_of_the_truth(case):
    whole = truth_on_clinical_slices(case.truth, case.clinical).array()
    part = case.clinical.crop(slice(1, 3), slice(2, 5), slice(3, 8))
    found = truth_on_clinical_slices(case.truth, part)
    assert np.array_equal(found.array(), whole[1:3, 16:40, 24:64])


def test_a_truth_that_is_on_the_clinical_slices_already_is_taken_as_it_is(case):
    once = truth_on_clinical_slices(case.truth, case.clinical)
    again = truth_on_clinical_slices(once, case.clinical)
    assert np.array_equal(once.array(), again.array())


def test_the_truth_of_another_place_is_refused(case):
    moved = case.truth.with_data(case.truth.data, origin=(5.04, -6.0, 7.0))
    with pytest.raises(GeometryError, match="do not lie over"):
        truth_on_clinical_slices(moved, case.clinical)
    with pytest.raises(GeometryError, match="do not lie over"):
        truth_on_clinical_slices(case.truth.crop(slice(8, 24)), case.clinical)


def test_a_case_on_disk_reads_back_in_place_with_its_record(case, tmp_path):
    case.write(tmp_path / "out")
    for name in ("clinical", "micro", "truth", "labels"):
        found, made = read(tmp_path / "out" / f"{name}.nii.gz"), getattr(case, name)
        assert np.array_equal(found.array(), made.array())
        assert np.allclose(found.affine, made.affine, atol=1e-4)
    record = json.loads((tmp_path / "out" / "phantom.json").read_text())
    assert record["seed"] == 9
    assert "Research use only" in record["notice"]
    assert "scanner" not in record["config"]
    assert -900 < record["statistics"]["parenchyma_mean_hu"] < -750
    with pytest.raises(FileError, match="overwrite"):
        case.write(tmp_path / "out")


def test_a_record_names_the_scanner_where_it_is_of_another_family(case, tmp_path):
    other = replace(case, config=PhantomConfig(scanner=("ringing", "motion"), options=case.config.options))
    other.write(tmp_path / "other")
    assert json.loads((tmp_path / "other" / "phantom.json").read_text())["config"]["scanner"] == ["ringing", "motion"]


def test_sizes_the_scanner_cannot_divide_name_the_nearest():
    with pytest.raises(OptionError, match="`size` 16 64 72"):
        make_phantom("lung", (17, 63, 70), 0)


def test_thinner_clinical_slices_can_be_asked_for():
    made = make_phantom("lung", (16, 32, 32), 1, PhantomConfig(slices=4))
    assert made.clinical.shape == (4, 4, 4)
    assert truth_on_clinical_slices(made.truth, made.clinical).shape == (4, 32, 32)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"noise_hu": -1.0}, "`noise_hu` -1: expected 0 HU or more"),
        ({"noise_hu": float("nan")}, "`noise_hu` nan"),
        ({"fwhm_mm": -0.5}, "`fwhm_mm` -0.5"),
        ({"spacing": 0.0}, "`spacing` 0"),
        ({"scale": 0}, "`scale` 0"),
        ({"slices": 0}, "`slices` 0"),
        ({"scanner": ("rings",)}, "`scanner` rings: expected one or several of ringing"),
        ({"scanner": ("ringing",), "kernel": "sharp"}, "`kernel` sharp"),
    ],
)
def test_a_scanner_that_cannot_be_is_refused(asked, message):
    with pytest.raises(OptionError, match=message):
        PhantomConfig(**asked)
