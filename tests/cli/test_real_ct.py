"""The real chest CT, where the data lies beside the project: inspect, prepare, enhance."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from ctloupe.evaluate.metrics.consistency import consistency
from ctloupe.prepare.lungs import lung_mask
from ctloupe.volume.formats import read

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
CHEST = SHARED / "chest-ct-lung-pet-ct-dx-A0001"
BONE = SHARED / "micro-ct-qim3d" / "bone_128x128x128.tif"

SHOWN = slice(20, 44)
"""Slices of the middle of the chest, of 64."""

pytestmark = pytest.mark.skipif(not CHEST.is_dir(), reason="the real chest CT of shared/data is not here")


def test_inspect_knows_the_chest_ct(ctloupe):
    facts = json.loads(ctloupe("inspect", CHEST, "--json"))
    assert facts["shape"] == [64, 512, 512]
    assert facts["spacing"] == pytest.approx([5.0, 0.841796875, 0.841796875])
    assert facts["modality_guess"] == "clinical"
    assert (facts["minimum"], facts["maximum"]) == (-1024, 2976)


@pytest.fixture
def middle(tmp_path):
    """A folder with the middle of the series."""
    files = sorted(
        CHEST.rglob("*.dcm"), key=lambda file: dcmread(file, stop_before_pixels=True).ImagePositionPatient[2]
    )
    (tmp_path / "middle").mkdir()
    for file in files[SHOWN]:
        shutil.copy(file, tmp_path / "middle")
    return tmp_path / "middle"


@pytest.mark.slow
def test_prepare_and_enhance_the_middle_of_the_chest_ct(ctloupe, tmp_path, tiny_model, middle):
    options = ["--scale", "2", "--patch", "32", "--per-case", "50", "--voxel-size", "0.4,0.4,0.4"]
    windows = ["--micro-window", "1%,99%", "--micro-mask", "none"]
    ctloupe("prepare", "--clinical", middle, "--micro", BONE, "--out", tmp_path / "bank", *options, *windows)
    overlay = np.asarray(Image.open(tmp_path / "bank" / "overlays" / "clinical-01.png"))
    assert overlay.std() > 10
    made = tmp_path / "chest.ome.zarr"
    ctloupe("enhance", middle, "-o", made, "--model", tiny_model, "--accept-spacing", "--slices", "11:13")
    scan, fine = read(middle), read(made)
    part = scan.crop(slice(11, 13))
    assert fine.shape == (2, 4 * 512, 4 * 512)
    assert np.allclose(fine.physical((-0.5, -0.5, -0.5)), part.physical((-0.5, -0.5, -0.5)), atol=1e-3)
    outside = ~lung_mask(scan)[11:13]
    assert consistency(fine.data, part.data, scale=4, mask=outside).rms_hu < 40


@pytest.mark.slow
def test_the_scanner_of_the_chest_ct_has_a_sharp_kernel(ctloupe, tmp_path):
    found = json.loads(ctloupe("scanner", CHEST, "-o", tmp_path / "scanner", "--json"))
    assert found["scanner"]["slice_thickness_mm"] == pytest.approx(5.0)
    assert 15 < found["scanner"]["noise_hu"] < 60
    assert found["scanner"]["noise_spectrum"]["rise"] > 0
    assert (found["scanner"]["blur_voxels"] or 0.0) < 0.4
    assert np.asarray(Image.open(tmp_path / "scanner" / "scanner.png").convert("L")).std() > 10
