"""Pages name slices, rows and columns by their indices in the whole scan, also where only a part was enhanced."""

import re

import numpy as np
import pytest

from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.report.invented import InventedShare, add_invented
from ctloupe.evaluate.report.page import Shown, add_details, add_overview
from ctloupe.evaluate.report.pictures import panel
from ctloupe.evaluate.report.report import Report
from ctloupe.evaluate.request import EvaluateRequest, evaluate_files
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume

REGION = (slice(3, 8), slice(5, 41), slice(7, 43))
ROI = "3:8,5:41,7:43"
WORST = (4, 16, 0)
"""Square of the part that is made the worst one: its slice, first row and first column there."""


def indices_in(scan, part, voxel):
    """Where the voxel of a part lies in the whole scan, by the geometry that both state."""
    point = np.append(part.physical(voxel), 1)
    return tuple(round(one) for one in (np.linalg.inv(scan.affine) @ point)[2::-1])


@pytest.fixture
def made(tmp_path):
    """A scan, a part of it, and that part enhanced, with one square far off; all in files too."""
    values = np.random.default_rng(0).normal(-800, 100, (10, 48, 48)).round().astype(np.int16)
    scan = Volume(values, (2.0, 0.6, 0.6), origin=(10.0, -20.0, 30.0), modality="clinical", units="HU")
    part = scan.crop(*REGION)
    fine = load_model("bicubic", 2).enhance(part)
    off = np.array(fine.data)
    z, y, x = WORST
    off[z, y * 2 : (y + 16) * 2, x * 2 : (x + 16) * 2] += 500
    for name, volume in {"scan": scan, "fine": fine, "off": fine.with_data(off)}.items():
        write(volume, tmp_path / f"{name}.nii.gz")
    return scan, part, fine.with_data(off)


def test_a_part_that_was_enhanced_is_named_by_the_slices_and_columns_of_the_scan(made, tmp_path):
    scan, part, _ = made
    _, report = evaluate_files(
        EvaluateRequest(input=tmp_path / "scan.nii.gz", output=(("mine", tmp_path / "off.nii.gz"),), roi=ROI)
    )
    page = report.html()
    middle = indices_in(scan, part, (part.shape[0] // 2, 0, 0))[0]
    z, y, x = indices_in(scan, part, WORST)
    assert f"Slice {middle} of the scan, counted from 0" in page
    assert re.search(rf"The worst .* slice {z} of the scan, rows from {y}, columns from {x}\.", page)


def test_both_reconstructions_of_a_pair_are_named_by_the_slices_of_the_scan(made, tmp_path):
    scan, part, _ = made
    _, report = evaluate_files(
        EvaluateRequest(
            protocol="kernel-pair",
            input=tmp_path / "scan.nii.gz",
            other_input=tmp_path / "scan.nii.gz",
            output=(("mine", tmp_path / "off.nii.gz"),),
            other_output=(("mine", tmp_path / "fine.nii.gz"),),
            roi=ROI,
        )
    )
    middle = indices_in(scan, part, (part.shape[0] // 2, 0, 0))[0]
    assert re.findall(r"slice (\d+) of both", report.html()) == [str(middle)] * 3


def test_every_slice_that_a_page_names_is_one_of_the_whole_scan(made, monkeypatch):
    _, part, fine = made
    drawn = []
    monkeypatch.setattr(
        "ctloupe.evaluate.report.page.signed_map", lambda view, limit: drawn.append(view) or panel([view])
    )
    mask = np.zeros(part.shape, bool)
    mask[1] = True
    shown = Shown(part, {"mine": fine}, mask=mask, corner=(100, 0, 0))
    report = Report("page")
    add_overview(report, shown)
    add_details(report, shown)
    add_invented(report, shown, fine, InventedShare(0.5, 0.1))
    found = re.findall(r"[Ss]lice (\d+)", report.html() + "".join(view.caption for view in drawn))
    assert found and set(found) == {"101"}
