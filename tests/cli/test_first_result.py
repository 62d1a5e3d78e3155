"""A radiologist with a folder of DICOM and nothing else: one command, and a picture at its end."""

import re

import numpy as np
import pytest
from PIL import Image

from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume


@pytest.mark.slow
def test_a_folder_of_dicom_becomes_an_enhanced_volume_and_a_picture_without_a_model_being_named(
    ctloupe, tmp_path, capsys, monkeypatch
):
    scan = make_phantom("lung", (16, 256, 256), 1, PhantomConfig()).clinical
    write(scan, tmp_path / "scan.dicom")
    monkeypatch.chdir(tmp_path)
    said = []
    monkeypatch.setattr("ctloupe.cli.progress.say", said.append)
    ctloupe("enhance", "scan.dicom", "-o", "enhanced.ome.zarr")
    made = read(tmp_path / "enhanced.ome.zarr")
    assert made.shape == (scan.shape[0], 8 * scan.shape[1], 8 * scan.shape[2])
    assert any(line.startswith("note: lung-demo is a demonstration") for line in said)
    assert "lung-demo (physics-flow)" in made.history[-1]
    # Finer than the interpolation, and still what the scan shows.
    coarse = np.asarray(made.data, np.float32).reshape(scan.shape[0], scan.shape[1], 8, scan.shape[2], 8).mean((2, 4))
    assert np.corrcoef(coarse.ravel(), scan.array().ravel())[0, 1] > 0.9
    with Image.open(tmp_path / "enhanced-preview.png") as picture:
        assert min(picture.size) > 500


def test_a_model_that_is_for_other_voxels_still_says_so(ctloupe, tmp_path, monkeypatch, capsys):
    wide = Volume(np.full((1, 16, 16), -800, np.int16), (1.0, 2.0, 2.0), modality="clinical", units="HU")
    write(wide, tmp_path / "wide.nii.gz")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match=re.escape("was trained at 0.625×0.625 mm")):
        ctloupe("enhance", "wide.nii.gz", "-o", "out.ome.zarr", "--mask", "none")
