"""A small study from phantoms to report: rows, seeds, resuming, failing rows, and honest tables."""

import csv
import json

import pytest

from ctloupe.foundation.errors import FileError
from ctloupe.studies.definition import load_study
from ctloupe.studies.report import write_report
from ctloupe.studies.results import load_results, order_in_words, tables
from ctloupe.studies.runner import StudyRequest, run_study
from page_structure import faults

pytestmark = pytest.mark.slow

STUDY = """
title: two rows
reference: a paper
protocols: [paired-phantom, jmi]
rows:
  - key: fine
    label: a U-Net
    method: unet
    changes: {width: 4, levels: 2, patch_size: 12, batch_size: 2}
    paper: {psnr_peak_1_db: 17.0}
  - {key: broken, label: fails, method: srgan, changes: {width: 8, blocks: 1, patch_size: 12, learning_rate: 1.0e+30}}
  - {key: plain, label: Lanczos, method: lanczos}
  - {key: twin, label: the same U-Net, same_as: fine, paper: {psnr_peak_1_db: 16.0}}
"""
SIZE = {"steps": 2, "size": (16, 272, 272), "per_case": 6, "cases": 1, "seeds": 2, "test_patches": 8}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that was stopped after one row and then continued."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "mine.yaml").write_text(STUDY)
    study = load_study(str(folder / "mine.yaml"))
    out = folder / "out"

    class Stop(KeyboardInterrupt):
        pass

    def stop_at_broken(line):
        if "row broken" in line:
            raise Stop

    with pytest.raises(Stop):
        run_study(study, out, StudyRequest(**SIZE), stop_at_broken)
    before = {path.name: path.stat().st_mtime_ns for path in (out / "results").iterdir()}
    run_study(study, out, StudyRequest(resume=True, **SIZE))
    return study, out, before


def test_a_stopped_study_continues_without_doing_anything_twice(finished):
    _, out, before = finished
    assert set(before) == {"bicubic-seed-0.json", "fine-seed-0.json"}
    after = {path.name: path.stat().st_mtime_ns for path in (out / "results").iterdir()}
    assert all(after[name] == time for name, time in before.items())
    rows = {(key, seed) for key in ("fine", "broken", "plain") for seed in (0, 1)}
    assert set(load_results(out)) == rows | {("bicubic", 0)}


def test_what_it_will_take_is_said_before_anything_is_made(tmp_path):
    (tmp_path / "mine.yaml").write_text(STUDY)
    said = []

    def stop_at_first(line):
        said.append(line)
        if line.startswith("clinical phantom"):
            raise KeyboardInterrupt

    timed = {key: value for key, value in SIZE.items() if key != "steps"} | {"minutes": 30}
    with pytest.raises(KeyboardInterrupt):
        run_study(load_study(str(tmp_path / "mine.yaml")), tmp_path / "out", StudyRequest(**timed), stop_at_first)
    # Three rows of two seeds; the fourth row is the numbers of another.
    assert said[0].startswith("plan: 6 trainings, about 3.0 h") and "all cores" in said[0]
    assert said[1].startswith("phantoms first: ") and "of 16×272×272 voxels, about " in said[1]


def test_a_failed_row_is_shown_as_failed_and_stops_nothing(finished):
    study, out, _ = finished
    result = load_results(out)["broken", 0]
    assert result["state"] == "failed" and result["message"] and "Traceback" in result["traceback"]
    # In the table a word, below it once why.
    for name in ("table.md", "report.html"):
        text = (out / name).read_text(encoding="utf-8")
        assert "failed" in text and text.count("Row broken failed: ") == len(tables(study, load_results(out)))
    (jmi,) = [table for table in tables(study, load_results(out)) if table.protocol.startswith("jmi")]
    lines = {line.key: line for line in jmi.lines}
    assert lines["broken"].failed and not lines["broken"].values
    assert len(lines["fine"].values["SSIM one window"]) == 2


def test_bicubic_is_the_first_row_of_every_table_and_protocols_do_not_mix(finished):
    study, out, _ = finished
    found = tables(study, load_results(out))
    assert [table.lines[0].key for table in found] == ["bicubic"] * len(found)
    assert all(table.lines[0].values for table in found)
    assert not set(found[0].definitions) & set(found[-1].definitions)


def test_a_row_that_equals_another_is_not_trained_and_shows_its_numbers(finished):
    study, out, _ = finished
    assert not [path for path in (out / "runs").iterdir() if path.name.startswith("twin")]
    (jmi,) = [table for table in tables(study, load_results(out)) if table.protocol.startswith("jmi")]
    lines = {line.key: line for line in jmi.lines}
    assert lines["twin"].values == lines["fine"].values and lines["twin"].paper != lines["fine"].paper


def test_the_paper_has_columns_of_its_own(finished):
    _, out, _ = finished
    text = (out / "table.md").read_text()
    assert "PSNR peak 1 (dB), paper" in text and "PSNR (dB), paper" not in text
    assert "only the order of the rows may be compared" in text
    with (out / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    one = [r for r in rows if r["row"] == "fine" and r["metric"] == "PSNR peak 1 (dB)"]
    assert [r["seed"] for r in one] == ["0", "1"] and {r["paper"] for r in one} == {"17.0"}


def test_every_row_shows_the_same_patch(finished):
    _, out, _ = finished
    assert {path.name for path in (out / "pictures").iterdir()} == {
        "bicubic.npy",
        "fine.npy",
        "plain.npy",
        "_scan.npy",
        "_truth.npy",
        "_spacing.json",
    }
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "data:image/png" in page and not faults(page)


def test_a_record_says_what_it_was_made_with(finished):
    _, out, _ = finished
    result = load_results(out)["fine", 1]
    assert result["steps"] == 2 and result["parameters"] > 0 and result["config"]["width"] == 4
    assert result["data"]["held_out_seed"] == 9001 and "torch" in result["software"]
    assert result["protocols"]["jmi"]["protocol"] == "jmi, version 1"
    assert not (out / "runs" / "fine-seed-1" / "checkpoints").exists()
    assert (out / "runs" / "fine-seed-1" / "model" / "weights.safetensors").is_file()


def test_the_report_of_an_unfinished_study_is_written(finished, tmp_path):
    study, out, _ = finished
    part = tmp_path / "part"
    (part / "results").mkdir(parents=True)
    (part / "study.json").write_bytes((out / "study.json").read_bytes())
    (part / "results" / "bicubic-seed-0.json").write_bytes((out / "results" / "bicubic-seed-0.json").read_bytes())
    write_report(study, part)
    assert "| fine | a U-Net | – |" in (part / "table.md").read_text()


def test_another_study_or_no_resume_is_refused(finished):
    study, out, _ = finished
    with pytest.raises(FileError, match="`resume`"):
        run_study(study, out, StudyRequest(**SIZE))
    with pytest.raises(FileError, match="another budget"):
        run_study(study, out, StudyRequest(resume=True, **SIZE | {"steps": 3}))
    with pytest.raises(FileError, match="another study"):
        run_study(load_study("jmi-table4"), out, StudyRequest(resume=True, **SIZE))
    with pytest.raises(FileError, match="no study is here"):
        load_results(out / "results")
    (out / "results" / "zzz.json").write_text("{")
    with pytest.raises(FileError, match="not a valid result"):
        load_results(out)
    (out / "results" / "zzz.json").write_text('{"row": "fine", "seed": 0}')
    with pytest.raises(FileError, match="key 'state': Field required; delete it and run the study with `resume`"):
        load_results(out)
    (out / "results" / "zzz.json").unlink()


def test_the_agreement_of_orders_is_kendalls(finished):
    from ctloupe.studies.results import Line, Table

    lines = [Line(k, k, {"m": [ours]}, {"m": paper}) for k, ours, paper in (("a", 1, 10), ("b", 3, 20), ("c", 2, 30))]
    words = order_in_words(Table("p", {"m": ""}, {"m": "more"}, lines), "m")
    assert "+0.33 over 3 rows (p = 1)" in words and "ours b, c, a" in words and "paper's c, b, a" in words
    repeated = [*lines, Line("d", "d", {"m": [3]}, {"m": 20}, same_as="b")]
    assert order_in_words(Table("p", {"m": ""}, {"m": "more"}, repeated), "m") == words
    assert order_in_words(Table("p", {"m": ""}, {"m": "more"}, lines[:2]), "m") is None


def test_a_study_of_cost_measures_and_copies_nothing(tmp_path):
    text = """
title: cost
reference: a paper
protocols: [cost]
rows:
  - {key: fine, label: a U-Net, method: unet, preset: {tiny: tiny},
     changes: {width: 4, levels: 2, patch_size: 12}, paper: {parameters: 5, training_epoch_s: 7}}
"""
    (tmp_path / "cost.yaml").write_text(text)
    study = load_study(str(tmp_path / "cost.yaml"))
    run_study(study, tmp_path / "out", StudyRequest(**SIZE | {"size": (16, 144, 144)}))
    results = load_results(tmp_path / "out")
    fine, plain = results["fine", 0]["cost"], results["bicubic", 0]["cost"]
    assert fine["parameters"] > 1000 and fine["training epoch (s)"] > 0 and fine["inference (s)"] > 0
    assert plain["parameters"] == 0 and "training epoch (s)" not in plain
    assert json.loads((tmp_path / "out" / "study.json").read_text())["study"]["protocols"] == ["cost"]
