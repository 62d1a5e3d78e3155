"""Benchmarks and records by their front doors: what is named is found, and nothing is replaced unasked."""

import pytest

from ctloupe.evaluate.comparison import load_comparison
from ctloupe.evaluate.protocols.paired_phantom import PAIRED_PHANTOM
from ctloupe.evaluate.suite.compare import CompareRequest, compare_records
from ctloupe.evaluate.suite.request import SuiteRequest, models_of, run_suite
from ctloupe.foundation.errors import FileError, OptionError
from page_structure import faults

SUITE = """
title: one lung
scale: 4
windows: {lung: {clinical: [-1000, 400], micro: [2500, 15000]}}
specimens: {lung: {anatomy: lung, seed: 9, size: [8, 96, 96]}}
cases:
  - {key: one, group: lung, anatomy: lung, seed: 1, size: [8, 96, 96]}
"""


@pytest.mark.slow
def test_a_suite_is_run_with_the_models_that_are_named_and_keeps_its_phantoms_where_it_is_told(tmp_path):
    (tmp_path / "mine.yaml").write_text(SUITE)
    said = []
    request = SuiteRequest(
        str(tmp_path / "mine.yaml"), tmp_path / "out", model=(("smooth", "lanczos"),), data=tmp_path / "phantoms"
    )
    boards = run_suite(request, said.append)
    assert list(boards["lung"].rows) == ["bicubic", "smooth"]
    assert (tmp_path / "phantoms" / "one" / "clinical.nii.gz").is_file()
    assert "smooth seed 0" in load_comparison(tmp_path / "out" / "cases" / "one.json").rows
    assert "leaderboard.csv" in said[-1]
    with pytest.raises(FileError, match="give `overwrite`"):
        run_suite(request)


def test_the_models_of_a_study_are_rows_whose_seeds_share_a_name(tmp_path):
    for name in ("unet-seed-0", "unet-seed-1", "sr-unit-seed-0"):
        (tmp_path / "runs" / name / "model").mkdir(parents=True)
    assert [name for name, _ in models_of(tmp_path)] == ["sr-unit", "unet", "unet"]
    with pytest.raises(OptionError, match="no trained model here"):
        models_of(tmp_path / "runs")


def test_records_of_one_scan_become_one_leaderboard_on_disk(tmp_path):
    for name, value in (("mine", 17.0), ("yours", 18.0)):
        rows = {"bicubic": {"SSIM": 16.0}, name: {"SSIM": value}}
        PAIRED_PHANTOM.comparison(rows, data={"scan": "a"}).save(tmp_path / f"{name}.json")
    request = CompareRequest((tmp_path / "mine.json", tmp_path / "yours.json"), tmp_path / "out")
    board = compare_records(request)
    assert list(board.rows) == ["bicubic", "mine", "yours"] and len(board.cases) == 1
    assert "yours" in (tmp_path / "out" / "leaderboard.md").read_text(encoding="utf-8")
    assert not faults((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    with pytest.raises(FileError, match="give `overwrite`"):
        compare_records(request)
