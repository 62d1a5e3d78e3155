"""Peers in one leaderboard: what needs none of their packages."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume
from warm_process import run_python

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "peers.py"


@pytest.fixture
def phantom(tmp_path: Path) -> Path:
    """A folder with a truth, and its averages over 4×4 pixels as the scan."""
    fine = np.random.default_rng(0).normal(-700, 150, (2, 96, 96))
    scan = fine.reshape(2, 24, 4, 24, 4).mean((2, 4))
    truth = Volume(fine.astype(np.int16), (0.6, 0.15, 0.15), units="HU")
    write(truth, tmp_path / "case" / "truth.nii.gz")
    coarse = Volume(scan.astype(np.int16), (0.6, 0.6, 0.6), (0.225, 0.225, 0), modality="clinical", units="HU")
    write(coarse, tmp_path / "case" / "clinical.nii.gz")
    return tmp_path / "case"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("monai") is not None, reason="MONAI is installed here")
def test_a_volume_made_elsewhere_is_a_row_and_a_peer_that_is_not_here_is_named(phantom, small_bank, tmp_path):
    given = ["--bank", small_bank, "--phantom", phantom, "--out", tmp_path / "out"]
    made = ["--output", f"mine={phantom / 'truth.nii.gz'}", "--peers", "MONAI rectified flow"]
    done = run_python(SCRIPT, *given, *made)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| mine |")]
    # The truth itself has no error; bicubic has.
    assert any(" 0.000 |" in line for line in rows)
    assert "| bicubic |" in done.stdout
    assert "* MONAI rectified flow: not run, monai cannot be imported (No module named 'monai')" in done.stdout
    assert "pip install -r benchmarks/peers-requirements.txt" in done.stderr
    assert done.stdout == (tmp_path / "out" / "peers.md").read_text(encoding="utf-8") + "\n"
