"""What a request asks for is done, or refused by the name of the option."""

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.request import EnhanceRequest, enhance_files
from ctloupe.foundation.errors import FileError, GeometryError, OptionError
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume


def scan(seed=0):
    values = np.random.default_rng(seed).normal(-800, 100, (3, 20, 24)).round().astype(np.int16)
    return Volume(values, (2.0, 0.6, 0.6), modality="clinical", units="HU")


def mask():
    inside = np.zeros(scan().shape, np.uint8)
    inside[:, 4:16, 5:20] = 1
    return scan().with_data(inside)


def test_the_example_of_the_page_runs(tmp_path, tiny_model, monkeypatch, capsys):
    page = Path(__file__).resolve().parents[2] / "docs" / "enhancing.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S)
    write(scan(), tmp_path / "phantom" / "clinical.nii.gz")
    shutil.copytree(tiny_model, tmp_path / "runs" / "first" / "model")
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert read(tmp_path / "consistent.ome.zarr").shape == (3, 80, 96)
    assert "wrote consistent.ome.zarr" in capsys.readouterr().out


def test_each_option_of_the_model_is_asked_for_under_its_own_name(tmp_path):
    asked = {"stitch": "patches", "stitch_size": 48, "seed": 3, "samples": 2, "match_histograms": True, "median": 3}
    asked |= {"precision": "float32", "tile": 16, "memory": 10**9, "blend": 1.5}
    assert EnhanceRequest(tmp_path, tmp_path, "m", **asked).options() == EnhanceOptions(**asked)


def test_every_option_of_the_model_can_be_asked_for_but_the_side_of_the_blend():
    fields = {field.name for field in dataclasses.fields(EnhanceRequest)}
    assert EnhanceOptions.model_fields.keys() - fields == {"blend_outside"}


def test_a_folder_is_worked_through_and_what_failed_is_told_at_the_end(tmp_path):
    for number in (1, 2):
        write(scan(number), tmp_path / "scans" / f"case-{number}.nii.gz")
    (tmp_path / "scans" / "case-1.nii.gz").write_bytes(b"no scan")
    said, finished = [], []
    request = EnhanceRequest(tmp_path / "scans", tmp_path / "fine", "bicubic", 2, mask="none", format=".nii.gz")
    with pytest.raises(OptionError, match=r"1 of 2 volumes failed.*`resume`"):
        enhance_files(request, said.append, finished=finished.append)
    assert finished[0] == "1/2 case-1.nii.gz: failed" and finished[1].endswith("case-2.nii.gz")
    assert said[-1].startswith("failed: ") and "case-1.nii.gz" in said[-1]
    assert read(tmp_path / "fine" / "case-2.nii.gz").shape == (3, 40, 48)


@pytest.mark.parametrize("names", [("a.nii.gz", "a.mha"), ("a.mha", "A.nii.gz"), ("a.nii.gz", "a-uncertainty.mha")])
def test_two_scans_of_a_folder_that_would_share_an_output_are_refused_before_the_work(tmp_path, names):
    for name in names:
        write(scan(), tmp_path / "scans" / name)
    request = EnhanceRequest(tmp_path / "scans", tmp_path / "fine", "bicubic", 2, mask="none", samples=2)
    with pytest.raises(FileError, match=r"both would be written to .*; rename one of them") as refused:
        enhance_files(request)
    assert all(str(tmp_path / "scans" / name) in str(refused.value) for name in names)
    assert not (tmp_path / "fine").exists()


def test_a_scan_that_is_missing_is_named_before_anything_else(tmp_path):
    with pytest.raises(FileError, match=r"none: no such file or folder"):
        enhance_files(EnhanceRequest(tmp_path / "none", tmp_path / "fine", "bicubic"))


def test_the_uncertainty_goes_beside_the_output_unless_it_is_named(tmp_path):
    write(scan(), tmp_path / "scan.nii.gz")
    request = EnhanceRequest(tmp_path / "scan.nii.gz", tmp_path / "fine.nii.gz", "bicubic", samples=2)
    (tmp_path / "fine-uncertainty.nii.gz").touch()
    with pytest.raises(FileError, match=r"fine-uncertainty\.nii\.gz: exists already"):
        enhance_files(request)


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"resample": True, "accept_spacing": True}, OptionError, "`resample` and `accept_spacing` exclude"),
        ({"uncertainty": "sd.nii.gz"}, OptionError, "`uncertainty`: .* has not learnt"),
        ({"stitch": "sewn"}, OptionError, "`stitch` sewn"),
        ({"samples": "many"}, OptionError, "options of enhance: key 'samples'.*found 'many'"),
        ({"mask": "elsewhere.nii.gz"}, GeometryError, "`mask` .*elsewhere"),
        ({"slices": "2:9"}, OptionError, "`slices` 2:9"),
        ({"format": "/../../x.nii.gz"}, OptionError, "`format` '/../../x.nii.gz': expected one of"),
        ({"format": ".NII"}, OptionError, "`format` '.NII': expected one of"),
    ],
)
def test_what_cannot_be_names_the_option_and_leaves_nothing(tmp_path, monkeypatch, asked, error, message):
    monkeypatch.chdir(tmp_path)
    write(scan(), tmp_path / "scan.nii.gz")
    write(Volume(mask().data, (9.0, 9.0, 9.0), (500.0, 0.0, 0.0)), tmp_path / "elsewhere.nii.gz")
    request = EnhanceRequest(tmp_path / "scan.nii.gz", tmp_path / "fine.nii.gz", "bicubic", 2, **asked)
    with pytest.raises(error, match=message):
        enhance_files(request)
    assert not (tmp_path / "fine.nii.gz").exists()


def test_what_a_file_left_open_is_said_before_the_scan_is_enhanced(tmp_path):
    image = sitk.GetImageFromArray(np.full((2, 10, 12), 40_000, np.int32))
    sitk.WriteImage(image, str(tmp_path / "scan.mha"))
    header = (tmp_path / "scan.mha").read_bytes().replace(b"Offset = 0 0 0\n", b"")
    (tmp_path / "scan.mha").write_bytes(header)
    said = []
    enhance_files(EnhanceRequest(tmp_path / "scan.mha", tmp_path / "fine.mha", "bicubic", 2, mask="none"), said.append)
    assert said[0] == "warning: scan.mha: no origin in the header, taken as zero"
    assert said[1].startswith("warning: scan.mha: values from 40000 to 40000, which are hardly HU")
    assert "no origin in the header, taken as zero" in read(tmp_path / "scan.mha").history
