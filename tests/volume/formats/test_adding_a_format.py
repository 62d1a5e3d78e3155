"""The worked example of docs/adding-a-format.md, taken from the page and used as somebody's own package."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume
from example_package import environment, installed

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]


def python(site, *arguments):
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment(site), cwd=ROOT)


def test_the_example_keeps_the_contract_of_all_formats(tmp_path):
    installed("adding-a-format.md", tmp_path)
    contract = "tests/volume/formats/test_contract.py"
    done = python(tmp_path, "-m", "pytest", "-p", "no:cacheprovider", contract, "-k", "labct")
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 20


def test_the_command_line_reads_and_writes_the_example(tmp_path):
    pytest.importorskip("torch", reason="enhancing needs torch")
    ctloupe = installed("adding-a-format.md", tmp_path / "site")
    values = np.random.default_rng(0).normal(-800, 100, (2, 20, 20)).astype(np.int16)
    scan = write(Volume(values, (0.6, 0.6, 0.6), (1.0, 2.0, 3.0), units="HU"), tmp_path / "data" / "scan.nii.gz")
    fine = tmp_path / "data" / "fine.labct"
    ctloupe("enhance", scan, "-o", fine, "--model", "bicubic", "--scale", 2, "--mask", "none")
    names = sorted(one.name for one in scan.parent.iterdir())
    assert names == ["fine-preview.png", "fine.labct", "fine.raw", "scan.nii.gz"]
    facts = json.loads(ctloupe("inspect", fine, "--json"))
    assert (facts["format"], facts["shape"], facts["units"]) == ("labct", [2, 40, 40], "HU")
    assert facts["spacing"] == pytest.approx([0.6, 0.3, 0.3])
    fine.with_suffix(".raw").write_bytes(b"")
    with pytest.raises(AssertionError, match=r"fine\.raw holds 0 bytes, the header promises 6400"):
        ctloupe("inspect", fine)


def test_a_plug_in_that_cannot_be_imported_is_named(tmp_path):
    record = tmp_path / "broken-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[ctloupe.formats]\nodd = nowhere.at_all:Odd\n")
    done = python(tmp_path, "-c", "from ctloupe.volume.formats import formats; formats()")
    assert "OptionError: format 'odd' (nowhere.at_all:Odd) cannot be imported: No module named 'nowhere'" in done.stderr
