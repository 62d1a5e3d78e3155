"""Every enhancing ends with a picture of a telling place."""

import numpy as np
import pytest
from PIL import Image

from ctloupe.enhance.request import EnhanceRequest, enhance_files, preview_of
from ctloupe.foundation.errors import FileError
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume


@pytest.fixture
def scan(tmp_path):
    values = np.random.default_rng(0).integers(-1000, -500, (3, 24, 24)).astype(np.int16)
    return write(Volume(values, (2.0, 0.7, 0.7), modality="clinical", units="HU"), tmp_path / "scan.nii.gz")


def request(scan, out, **changes):
    return EnhanceRequest(scan=scan, out=scan.parent / out, model="bicubic", scale=4, mask="none", **changes)


@pytest.mark.parametrize("out", ["out.ome.zarr", "out.nii.gz"])
def test_the_picture_lies_beside_the_output_and_is_told_of(scan, out):
    said = []
    asked = request(scan, out, roi="1:3,4:20,4:20")
    enhance_files(asked, said.append)
    assert preview_of(asked.out) == scan.parent / "out-preview.png"
    assert said[-1] == f"picture: {preview_of(asked.out)}"
    with Image.open(preview_of(asked.out)) as picture:
        assert min(picture.size) > 300
        assert np.asarray(picture.convert("L")).std() > 20


def test_without_it_there_is_none(scan):
    enhance_files(request(scan, "out.nii.gz", preview=False))
    assert sorted(one.name for one in scan.parent.iterdir()) == ["out.nii.gz", "scan.nii.gz"]


def test_a_picture_that_is_there_is_replaced_only_when_asked(scan):
    (scan.parent / "out-preview.png").write_text("mine")
    with pytest.raises(FileError, match=r"out-preview\.png: exists already"):
        enhance_files(request(scan, "out.nii.gz"))
    assert not (scan.parent / "out.nii.gz").exists()
    enhance_files(request(scan, "out.nii.gz", overwrite=True))
    assert (scan.parent / "out-preview.png").read_bytes().startswith(b"\x89PNG")


def test_that_it_fails_does_not_spoil_the_output(scan, monkeypatch):
    def full(*arguments, **options):
        raise FileError("the disk is full")

    monkeypatch.setattr("ctloupe.enhance.preview.write_preview", full)
    said = []
    enhance_files(request(scan, "out.nii.gz"), said.append)
    assert (scan.parent / "out.nii.gz").exists() and said[-1] == "warning: no picture of it: the disk is full"


def test_each_scan_of_a_folder_gets_its_own(scan):
    folder = scan.parent / "scans"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.nii.gz").write_bytes(scan.read_bytes())
    enhance_files(EnhanceRequest(folder, scan.parent / "out", "bicubic", 4, mask="none", format=".nii.gz"))
    names = sorted(one.name for one in (scan.parent / "out").iterdir())
    assert names == ["a-preview.png", "a.nii.gz", "b-preview.png", "b.nii.gz"]
