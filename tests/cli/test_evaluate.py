"""`ctloupe evaluate` with an uncertainty."""

import json

import numpy as np
import pytest

from ctloupe.cli.main import main
from ctloupe.enhance.resolver import load_model
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume


@pytest.fixture
def case(tmp_path):
    """A scan, its bicubic enlargement, a truth that differs by 50 HU of noise, and the σ of that noise."""
    random = np.random.default_rng(0)
    coarse = random.normal(-800, 100, (2, 24, 24)).round().astype(np.int16)
    scan = Volume(coarse, (2.0, 0.6, 0.6), modality="clinical", units="HU")
    fine = load_model("bicubic", 2).enhance(scan)
    truth = fine.with_data((fine.data + random.normal(0, 50, fine.shape)).round().astype(np.int16))
    sigma = fine.with_data(np.full(fine.shape, 50, np.float32))
    for name, volume in (("scan", scan), ("fine", fine), ("truth", truth), ("sigma", sigma)):
        write(volume, tmp_path / f"{name}.nii.gz")
    return tmp_path


def test_an_uncertainty_is_judged_by_the_truth(case, ctloupe):
    said = ctloupe(
        *("evaluate", "--input", case / "scan.nii.gz", "--output", case / "fine.nii.gz"),
        *("--truth", case / "truth.nii.gz", "--uncertainty", case / "sigma.nii.gz", "--out", case / "out", "--json"),
    )
    worth = json.loads(said)["facts"]["uncertainty"]
    assert worth["factor"] == pytest.approx(1, rel=0.05) and worth["coverage 80%"] == pytest.approx(0.8, abs=0.03)
    assert "Uncertainty" in (case / "out" / "report.html").read_text()


def test_without_a_truth_it_cannot_be_judged(case, monkeypatch, capsys):
    arguments = [
        "--input",
        case / "scan.nii.gz",
        "--output",
        case / "fine.nii.gz",
        "--uncertainty",
        case / "sigma.nii.gz",
    ]
    monkeypatch.setattr("sys.argv", ["ctloupe", "evaluate", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2 and "--uncertainty needs --truth" in capsys.readouterr().err
