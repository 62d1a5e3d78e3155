"""`ctloupe scanner`: what it prints, writes and refuses."""

import json
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from ctloupe.cli.main import main
from ctloupe.images.windows import IntensityWindow
from ctloupe.prepare.patches import PatchBank
from ctloupe.scanner.noise import exact_noise
from ctloupe.scanner.operator import ScannerOperator
from ctloupe.scanner.scanner import Scanner
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume

FINE = (0.6, 0.15, 0.15)
SCANNER = Scanner.with_kernel("smooth", (0.6, 0.6, 0.6), 12.0)


def anatomy(seed):
    """Textured islands in HU, 2×480×480."""
    white = np.random.default_rng(seed).standard_normal((2, 480, 480))
    islands = np.tanh(np.maximum(gaussian_filter(white[::-1], (0, 10, 10)) * 35 - 0.7, 0))
    return (islands * (1 + 4 * gaussian_filter(white, (0, 2.5, 2.5))) * 600 - 850).astype(np.float32)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    image = ScannerOperator(SCANNER, FINE).forward(anatomy(1))
    image += exact_noise(image.shape, SCANNER.noise, SCANNER.spectrum, np.random.default_rng(2))
    volume = Volume(np.rint(image).astype(np.int16), SCANNER.voxel, units="HU")
    return write(volume, tmp_path_factory.mktemp("scan") / "scan.nii.gz")


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """A µCT bank whose raw values are 5 · HU + 7000."""
    path = tmp_path_factory.mktemp("bank") / "micro.bank"
    raw = Volume(np.rint(anatomy(3) * 5 + 7000).astype(np.int16), FINE, modality="micro")
    PatchBank.sample([("specimen", raw, None)], 96, 16, IntensityWindow(0, 15000)).save(path)
    return path


def refusal(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["ctloupe", "scanner", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_with_a_micro_bank_the_scanner_is_found_and_drawn(ctloupe, scan, bank, tmp_path):
    out = tmp_path / "scanner"
    command = ["scanner", scan, "--micro", bank.parent, "--mask", "none", "--patches", "16", "-o", out]
    found = json.loads(ctloupe(*command, "--json"))
    assert found == json.loads((out / "scanner.json").read_text())
    record = found["scanner"]
    assert found["blur_from"] == "micro"
    assert record["blur_voxels"] == pytest.approx(SCANNER.blur_voxels, abs=0.2)
    assert record["noise_hu"] == pytest.approx(SCANNER.noise, rel=0.35)
    assert record["gain"] == pytest.approx(1 / 5, rel=0.2)
    assert record["gain"] * (5 * -850 + 7000) + record["offset_hu"] == pytest.approx(-850, abs=30)
    assert record["slice_thickness_mm"] == pytest.approx(0.6)
    assert "Research use only" in found["notice"]
    picture = np.asarray(Image.open(out / "scanner.png").convert("L"))
    assert picture.shape[1] > 2 * picture.shape[0] and picture.std() > 10


def test_alone_the_scan_tells_its_noise_and_says_what_it_cannot_tell(ctloupe, scan):
    command = ["scanner", scan, "--mask", "none", "--patches", "24"]
    found = json.loads(ctloupe(*command, "--json"))
    assert found["blur_from"] is None and found["scanner"]["blur_mm"] is None and found["scanner"]["gain"] is None
    assert found["scanner"]["noise_hu"] == pytest.approx(SCANNER.noise, rel=0.35)
    text = ctloupe(*command)
    assert "point spread   unknown" in text
    assert "give --micro" in text


def test_what_cannot_be_used_is_refused_in_one_line(monkeypatch, capsys, scan, small_bank, tmp_path):
    assert "no µCT bank" in refusal(monkeypatch, capsys, scan, "--micro", tmp_path, "--mask", "none")
    assert "at least 16" in refusal(monkeypatch, capsys, scan, "--micro", small_bank, "--mask", "none")
    assert "--patches 0" in refusal(monkeypatch, capsys, scan, "--patches", "0")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "scanner.png").touch()
    line = refusal(monkeypatch, capsys, scan, "--mask", "none", "--patches", "8", "-o", tmp_path / "out")
    assert "scanner.png" in line and "--overwrite" in line
    flat = write(Volume(np.full((2, 64, 64), -800, np.int16), SCANNER.voxel, units="HU"), tmp_path / "flat.nii.gz")
    assert "constant" in refusal(monkeypatch, capsys, flat, "--mask", "none")
