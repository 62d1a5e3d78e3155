"""The worked example of docs/adding-a-metric.md, taken from the page and used as somebody's own package."""

import json
import re

import numpy as np
import pytest

from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume
from example_package import installed

LABEL = "low density bias (%)"


@pytest.mark.slow
def test_the_example_stands_in_record_table_words_and_leaderboard(tmp_path):
    ctloupe = installed("adding-a-metric.md", tmp_path / "site")
    random = np.random.default_rng(0)
    truth = random.normal(-900, 60, (2, 40, 40)).astype(np.int16)
    dark = np.where(random.random(truth.shape) < 0.25, -1000, truth).astype(np.int16)
    scan = truth.reshape(2, 20, 2, 20, 2).mean((2, 4)).astype(np.int16)
    origin = (-0.25, -0.25, 0.0)
    write(Volume(scan, (1.0, 1.0, 1.0), units="HU"), tmp_path / "scan.nii.gz")
    for name, values in (("truth", truth), ("dark", dark)):
        write(Volume(values, (1.0, 0.5, 0.5), origin=origin, units="HU"), tmp_path / f"{name}.nii.gz")
    given = ("--input", tmp_path / "scan.nii.gz", "--truth", tmp_path / "truth.nii.gz")
    outputs = [text for name in ("dark", "truth") for text in ("--output", tmp_path / f"{name}.nii.gz")]
    said = ctloupe("evaluate", *given, *outputs, "--out", tmp_path / "out")
    board = ctloupe("compare", tmp_path / "out" / "metrics.json")
    assert LABEL in said
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    expected = 100 * (np.mean(dark < -950) - np.mean(truth < -950))
    assert found["rows"]["dark"][LABEL] == pytest.approx(expected) and expected > 15
    assert found["rows"]["truth"][LABEL] == 0 and found["better"][LABEL] == "near 0"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert re.search(r"Right value at the right voxel: [^<]*low density bias \(%\)", page)
    assert LABEL in board.split("### Right value at the right voxel")[1].split("###")[0]
