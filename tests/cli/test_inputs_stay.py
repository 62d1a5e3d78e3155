"""No verb writes over what it reads, whatever may be overwritten: one line, exit status 2, and the input as it was."""

import os
import sys

import numpy as np
import pytest

from ctloupe.cli.main import main
from ctloupe.rate.design import Design, write_study
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume

DESIGN = {"name": "s", "methods": ["a", "b"], "patches": 2, "criteria": {"sharp": [1, 5]}, "raters": ["r"]}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with scans in files and folders, a mask, records, and a rating study."""
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).normal(-800, 100, (3, 16, 16)).round().astype(np.int16)
    scan = Volume(values, (2.0, 0.6, 0.6), modality="clinical", units="HU")
    for name in ("scan.nii.gz", "cohort/case-1.nii.gz", "pair/truth.nii.gz", "scan.ome.zarr", "scan.dicom"):
        write(scan, tmp_path / name)
    write(scan.with_data(np.ones(scan.shape, np.uint8)), tmp_path / "mask.nii.gz")
    # Headers whose voxels have another name, or lie in a folder of their own.
    write(scan, tmp_path / "other.mhd")
    (tmp_path / "other.mhd").rename(tmp_path / "scan.mhd")
    write(scan, tmp_path / "below.mhd")
    (tmp_path / "voxels").mkdir()
    (tmp_path / "below.raw").rename(tmp_path / "voxels" / "below.raw")
    header = (tmp_path / "below.mhd").read_text()
    (tmp_path / "below.mhd").write_text(header.replace("below.raw", "voxels/below.raw"))
    (tmp_path / "link.nii.gz").symlink_to("scan.nii.gz")
    os.link("scan.nii.gz", "hard.nii.gz")
    write_study(Design.model_validate(DESIGN), tmp_path / "study")
    for name in ("bank/bank.yaml", "eval/metrics.json", "board/report.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a record")
    (tmp_path / "study" / "runs" / "a-seed-0" / "model").mkdir(parents=True)
    return tmp_path


ENHANCE = "enhance {} -o {} --model bicubic --scale 2 --mask none --overwrite"


@pytest.mark.parametrize(
    "command",
    [
        ENHANCE.format("scan.nii.gz", "scan.nii.gz"),
        ENHANCE.format("scan.nii.gz", "link.nii.gz"),
        ENHANCE.format("link.nii.gz", "scan.nii.gz"),
        ENHANCE.format("scan.nii.gz", "hard.nii.gz"),
        ENHANCE.format("scan.ome.zarr", "scan.ome.zarr"),
        ENHANCE.format("scan.ome.zarr", "scan.ome.zarr") + " --resume",
        ENHANCE.format("scan.ome.zarr", "scan.ome.zarr/0/fine.nii.gz"),
        ENHANCE.format("scan.dicom", "scan.dicom"),
        ENHANCE.format("scan.dicom", "scan.dicom/fine.nii.gz"),
        ENHANCE.format("scan.mhd", "other.mhd"),
        ENHANCE.format("below.mhd", "voxels/fine.nii.gz") + " --invented voxels/below.mhd",
        "prepare --clinical cohort --micro below.mhd --out voxels --overwrite",
        ENHANCE.format("cohort", "cohort") + " --format .nii.gz",
        ENHANCE.format("cohort", "cohort/fine"),
        ENHANCE.format("scan.nii.gz", "fine.nii.gz") + " --invented scan.nii.gz",
        ENHANCE.format("scan.nii.gz", "mask.nii.gz").replace("none", "mask.nii.gz"),
        "prepare --clinical cohort --micro scan.nii.gz --out cohort --overwrite",
        "prepare --clinical scan.nii.gz --micro cohort/case-1.nii.gz --out cohort --overwrite",
        "prepare --clinical cohort --micro scan.nii.gz --out . --overwrite",
        "phantom --from-micro pair/truth.nii.gz --scale 2 --slices 1 --out pair --overwrite",
        "scanner scan.dicom -o scan.dicom --overwrite",
        "train --bank bank --out bank",
        "evaluate --input scan.dicom --output scan.nii.gz -o scan.dicom --overwrite",
        "evaluate --input scan.nii.gz --output link.nii.gz --truth pair/truth.nii.gz --uncertainty scan.nii.gz "
        "--recalibration eval/metrics.json -o eval --overwrite",
        "compare board/report.html -o board --overwrite",
        "suite smoke-v1 --study study -o study/board --overwrite",
        "rate design study/design.yaml --out study --overwrite",
        "rate design --experiment isbi --input scan.nii.gz --output a=pair/truth.nii.gz --output b=mask.nii.gz "
        "--out pair --overwrite",
        "rate analyse study study/ratings-r.csv --out study --overwrite",
    ],
)
def test_an_input_is_never_an_output(place, monkeypatch, capsys, command):
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    monkeypatch.setattr(sys, "argv", ["ctloupe", *command.split()])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr().err
    assert stop.value.code == 2 and "an input is never replaced" in said and said.count("\n") == 1
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
