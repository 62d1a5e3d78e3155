"""Evaluating what a model made whose volumes were scaled each by its own range: both sides by their own ranges."""

import numpy as np
import pytest

from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.protocols.isbi import compare_by_hu_moments
from ctloupe.evaluate.protocols.jmi import compare_by_jmi
from ctloupe.evaluate.request import EvaluateRequest, evaluate_files
from ctloupe.evaluate.warnings import warnings_for
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume


@pytest.fixture
def case(tmp_path, min_max_model):
    """A scan with its ends in the first slice, what the model makes of the others, and a µCT."""
    random = np.random.default_rng(0)
    values = random.normal(-400, 100, (3, 24, 24)).round().astype(np.int16)
    values[0, 0, :2] = -1100, 900
    scan = Volume(values, (0.6, 0.6, 0.6), modality="clinical", units="HU")
    write(scan, tmp_path / "scan.nii.gz")
    load_model(min_max_model).enhance_to(
        scan, tmp_path / "fine.nii.gz", region=(slice(1, 3), slice(0, 24), slice(0, 24))
    )
    micro = Volume(random.normal(300, 50, (2, 96, 96)).round().astype(np.int16), (0.15, 0.15, 0.15))
    write(micro, tmp_path / "micro.nii.gz")
    return tmp_path


def request_for(case, model, **changes):
    values = {
        "input": case / "scan.nii.gz",
        "output": (("fine", case / "fine.nii.gz"),),
        "micro": case / "micro.nii.gz",
        "model": (("fine", model),),
        "slices": "1:3",
    }
    return EvaluateRequest(**values | changes)


def test_hu_moments_are_taken_by_the_range_of_the_whole_scan_and_of_the_specimen(case, min_max_model):
    found, _ = evaluate_files(request_for(case, min_max_model, protocol="isbi"))
    micro = read(case / "micro.nii.gz")
    windows = IntensityWindow(-1100, 900), IntensityWindow(micro.array().min(), micro.array().max())
    scan = read(case / "scan.nii.gz").crop(slice(1, 3), slice(0, 24), slice(0, 24))
    expected = compare_by_hu_moments({"fine": read(case / "fine.nii.gz")}, scan, micro, *windows)
    assert found.rows == expected.rows


def test_jmi_takes_the_range_of_its_specimen_unless_a_window_is_given(case, min_max_model):
    asked = request_for(case, min_max_model, protocol="jmi", input=None, output=(), slices=None)
    micro = read(case / "micro.nii.gz")
    model = load_model(min_max_model)
    own = IntensityWindow(micro.array().min(), micro.array().max())
    assert evaluate_files(asked)[0].rows == compare_by_jmi(micro, model, own).rows
    given = request_for(
        case, min_max_model, protocol="jmi", input=None, output=(), slices=None, micro_window=(0.0, 500.0)
    )
    assert evaluate_files(given)[0].rows == compare_by_jmi(micro, model, IntensityWindow(0, 500)).rows


def test_nothing_of_the_scan_is_said_to_be_cut_off(case, min_max_model):
    scan, model = read(case / "scan.nii.gz"), load_model(min_max_model)
    assert model.window.high < 900
    assert not any(line.startswith("window:") for line in warnings_for(scan, None, model))
    found, _ = evaluate_files(request_for(case, min_max_model))
    assert "fine" in found.rows
