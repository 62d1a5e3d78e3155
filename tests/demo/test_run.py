"""The demo end to end, small."""

import json

import pytest

from ctloupe.demo.run import DemoRequest, run_demo
from ctloupe.foundation.errors import FileError
from ctloupe.train.loop import Silent
from page_structure import faults


@pytest.mark.slow
def test_the_demo_makes_a_self_contained_report(tmp_path):
    report = run_demo(tmp_path / "demo", DemoRequest((8, 256, 256), steps=2, per_case=8), Silent())
    page = report.read_text(encoding="utf-8")
    assert not faults(page)
    assert page.count("data:image/png;base64,") == 10
    assert "http://" not in page.replace("http://www.w3.org", "")
    for words in (
        "bicubic",
        "SR-CycleGAN",
        "Physics-Flow, mean",
        "Physics-Flow, a sample",
        "airway wall",
        "Research use only",
        "peak memory",
    ):
        assert words in page
    facts = json.loads((tmp_path / "demo" / "metrics.json").read_text())
    assert [one["name"] for one in facts["stages"]][-1] == "evaluate"
    assert {method: one["steps"] for method, one in facts["training"].items()} == {"sr-cyclegan": 1, "physics-flow": 1}
    for run in ("run", "flow"):
        assert (tmp_path / "demo" / run / "model" / "model.json").is_file()


def test_a_folder_that_is_not_the_demos_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(FileError):
            run_demo(tmp_path, DemoRequest(), Silent(), overwrite)
    assert (tmp_path / "mine.txt").read_text() == "mine"
