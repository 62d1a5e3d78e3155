"""Every benchmark that README or docs show runs, on small data."""

import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from browser import HAS_BROWSER
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume
from warm_process import run_python

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


CHANGES_OUR_CODE = ("benchmarks/resume.py",)
"""Benchmarks that put something of their own into ours, which tests in the same process would meet."""


def run_here(script, arguments, monkeypatch, capsys):
    """Run a benchmark in this process, which has imported what it needs, and return what it prints."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "argv", [str(script), *map(str, arguments)])
        patched.syspath_prepend(script.parent)
        runpy.run_path(str(script), run_name="__main__")
    return capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.thorough
def test_the_benchmarks_shown_run(tiny_model, tiny_flow, tiny_stepping_flow, tmp_path, monkeypatch, capsys):
    scan = Volume(np.random.default_rng(0).normal(-800, 60, (3, 64, 64)).astype(np.int16), (0.6, 0.6, 0.6))
    write(scan, tmp_path / "scan.nii.gz")
    rough = np.random.default_rng(1).integers(0, 255, (32, 64, 64)).astype(np.uint8)
    write(Volume(rough, (0.05, 0.05, 0.05)), tmp_path / "micro.nii.gz")
    write(Volume(rough.repeat(2, 1).repeat(2, 2), (0.05, 0.05, 0.05)), tmp_path / "wide.nii.gz")
    (tmp_path / "plain.yaml").write_text(PLAIN_STUDY, encoding="utf-8")
    gallery = [
        "--scan",
        tmp_path / "scan.nii.gz",
        "--model",
        f"tiny={tiny_model}",
        "--flow",
        tiny_flow,
        "--samples",
        "2",
    ]
    tiny = ["--width", "8", "--blocks", "1", "--patch", "12", "--per-case", "40"]
    one_step = ["--steps", "1", "--width", "8", "--patch", "12", "--per-case", "40"]
    two_phantoms = ["--size", "16", "96", "96", "--seeds", "1", "2"]
    slice_of_24 = ["--size", "24", "--scale", "4"]
    flow_and_scan = ["--model", tiny_flow, "--scan", tmp_path / "scan.nii.gz"]
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = set(re.findall(r"^python (benchmarks/\S+\.py)", text, flags=re.M))
    inline = set(re.findall(r"`python (benchmarks/[^\s`]+\.py)[^`]*`", text))
    options = {
        "benchmarks/bad_enhancers.py": ["--out", tmp_path / "bad", "--size", "8", "96", "96", "--only", "mesh"],
        "benchmarks/evaluate.py": ["--slices", "1", "--size", "128", "--moments", "5", "--thinned", "30"],
        "benchmarks/calibrated_statistics.py": [*two_phantoms, "--model", tiny_model, "--out", tmp_path],
        "benchmarks/tiny_preset.py": ["--repeats", "1", "--only", "tiny", "--patch-size", "12"],
        "benchmarks/compressing.py": ["--size", "600", "--repeats", "1"],
        "benchmarks/consistency.py": [*flow_and_scan, "--out", tmp_path, "--mask", "none"],
        "benchmarks/enhance.py": [*slice_of_24, "--width", "8", "--repeats", "1", "--convolutions", "1"],
        "benchmarks/both_cores.py": [
            *("--size", "16", "128", "128", "--cases", "1"),
            *("--study-size", "8", "256", "256", "--minutes", "0.02"),
        ],
        "benchmarks/file_to_file.py": [
            *("--scan", tmp_path / "scan.nii.gz", "--model", tiny_model, "--mask", "none", "--slices", "2"),
            *("--thinner", "2"),
        ],
        "benchmarks/gallery.py": [
            *gallery,
            "--side",
            "16",
            "--image",
            tmp_path / "gallery.png",
            "--page",
            tmp_path / "gallery.md",
        ],
        "benchmarks/long_runs.py": ["--volumes", "3", "--steps", "10", "--format", ".nii.gz"],
        "benchmarks/kernel_pair.py": ["--model", tiny_flow, "--size", "16", "96", "96"],
        "benchmarks/methods.py": ["--size", "16", "--samples", "2", "--repeats", "1", "--only", "physics-flow"],
        "benchmarks/memory.py": ["--slices", "1", "--size", "32", "--model", tiny_model],
        "benchmarks/neighbours.py": [*tiny, "--size", "8", "96", "96", "--slices", "8", "--steps", "1"],
        "benchmarks/one_model.py": [*one_step, "--size", "8", "96", "96", "--kernels", "sharp"],
        "benchmarks/other_scanners.py": ["--out", tmp_path / "scanners", "--size", "8", "64", "64", "--repeats", "1"],
        "benchmarks/paired_micro.py": ["--micro", tmp_path / "micro.nii.gz", "--steps", "1", "--per-case", "8"],
        "benchmarks/prepare.py": [
            *("--size", "24", "96", "96", "--cubes", "16", "--repeats", "1", "--per-case", "4", "--patch", "8"),
        ],
        "benchmarks/real_volumes.py": [
            *("--micro", tmp_path / "wide.nii.gz", "--out", tmp_path / "real", "--study", tmp_path / "plain.yaml"),
            *("--per-case", "4", "--seeds", "1"),
        ],
        "benchmarks/reading_apart.py": ["--slices", "2", "--size", "32", "--repeats", "1"],
        "benchmarks/resume.py": ["--slices", "1", "--size", "32", "--scale", "2"],
        "benchmarks/samples.py": ["--size", "16", "--samples", "2"],
        "benchmarks/scaling.py": ["--slices", "8", "--size", "16", "--model", tiny_model],
        "benchmarks/scan_chi2.py": ["--cases", "standard-1", "--size", "16", "256", "256"],
        "benchmarks/seams.py": ["--model", tiny_model, "--out", tmp_path / "seams.png"],
        "benchmarks/steps.py": ["--model", tiny_stepping_flow, "--size", "16", "96", "96", "--steps", "1", "2"],
        "benchmarks/train.py": [
            *("--preset", "tiny", "--batch-size", "2", "--patch-size", "16", "--repeats", "1", "--profile", "--layers"),
        ],
        "benchmarks/trees.py": ["--size", "32", "96", "96"],
        "benchmarks/told.py": ["--size", "8", "192", "192", "--epochs", "1"],
        "benchmarks/view.py": ["--slices", "4", "--size", "64", "--fine-size", "128", "--steps", "2", "--long", "10"],
        "benchmarks/tries.py": ["--repeats", "1", "--shrink", "4", "--no-compile"],
    }
    # These have tests of their own.
    assert (shown | inline) - {"benchmarks/peers.py", "benchmarks/bench.py"} == set(options)
    monkeypatch.chdir(tmp_path)
    if not HAS_BROWSER:
        del options["benchmarks/view.py"]
    for script, arguments in options.items():
        if script in CHANGES_OUR_CODE:
            done = run_python(ROOT / script, *arguments, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            printed = done.stdout
        else:
            printed = run_here(ROOT / script, arguments, monkeypatch, capsys)
        assert printed.count("|") > 10, script
    assert (tmp_path / "images" / "calibrated-statistics.png").is_file()
    assert "scanner: " in (tmp_path / "gallery.md").read_text(encoding="utf-8")


PLAIN_STUDY = """
title: no training
reference: this project
protocols: [jmi, paired-phantom]
rows:
  - {key: plain, label: Lanczos, method: lanczos}
"""

SUITE = """
title: small
scale: 4
windows: {lung: {clinical: [-1000, 400], micro: [2500, 15000]}}
specimens: {lung: {anatomy: lung, seed: 9, size: [8, 96, 96]}}
cases:
  - {key: only, group: lung, anatomy: lung, seed: 1, size: [8, 96, 96]}
"""


BENCH = ROOT / "benchmarks" / "bench.py"


@pytest.mark.slow
@pytest.mark.thorough
def test_a_record_of_tables_names_the_machine(tmp_path):
    for _ in range(2):  # The second time its table is replaced.
        arguments = ["--only", "samples", "--arguments=--size 16 --samples 2", "--out", "mine.json"]
        done = run_python(BENCH, *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "mine.json").read_text(encoding="utf-8"))
    assert set(record["machine"]["features"]) == {"avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16"}
    (table,) = record["tables"]["samples"]["tables"]
    assert len(table["rows"]) == 2 and all(len(row) == len(table["header"]) for row in table["rows"])


def test_the_record_of_a_machine_stands_beside_another_and_is_not_gone_on_with_here(tmp_path, monkeypatch, capsys):
    kept = ROOT / "docs" / "machines" / "avx2.json"
    record = json.loads(kept.read_text(encoding="utf-8"))
    tables = {"samples": record["tables"]["samples"]}
    other = record | {"machine": record["machine"] | {"kind": "another"}, "tables": tables}
    (tmp_path / "other.json").write_text(json.dumps(other), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"^0$"):
        run_here(BENCH, ["--compare", kept, tmp_path / "other.json"], monkeypatch, capsys)
    headers = [table["header"] for table in tables["samples"]["tables"]]
    # Once in the heading, and once beside each column of ours.
    assert capsys.readouterr().out.count("another") == 1 + sum(len(header) - 1 for header in headers)
    with pytest.raises(SystemExit, match=r"is of another machine \(another\)"):
        run_here(BENCH, ["--only", "samples", "--out", tmp_path / "other.json"], monkeypatch, capsys)


@pytest.mark.slow
@pytest.mark.thorough
def test_the_leaderboard_of_a_study_replaces_what_stood_between_the_marks(tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "study" / "runs" / "mine-seed-0" / "model")
    (tmp_path / "small.yaml").write_text(SUITE, encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- leaderboard: begin -->\nold\n<!-- leaderboard: end -->\nafter\n", encoding="utf-8")
    options = ["--study", "study", "--page", "page.md", "--suite", "small.yaml", "--out", "suite"]
    done = run_python(ROOT / "benchmarks" / "leaderboard.py", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- leaderboard: begin -->") and text.endswith(
        "<!-- leaderboard: end -->\nafter\n"
    )
    assert "| bicubic |" in text and "| mine |" in text and "\nold\n" not in text


@pytest.mark.slow
@pytest.mark.thorough
def test_the_studies_of_papers_go_on_where_they_stopped_and_fill_the_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- papers: begin -->\nold\n<!-- papers: end -->\nafter\n", encoding="utf-8")
    small = ["--", "--only", "lanczos", "--size", "8", "272", "272", "--cases", "1", "--per-case", "2"]
    options = ["--out", "papers", "--page", "page.md", "--studies", "all", "--seeds", "1", *small]
    for _ in range(2):
        done = run_python(ROOT / "benchmarks" / "papers.py", *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr + (tmp_path / "papers" / "all.log").read_text(encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- papers: begin -->") and text.endswith("<!-- papers: end -->\nafter\n")
    assert (
        "## Summary" in text and "### Never run" in text and "| lanczos | Lanczos |" in text and "\nold\n" not in text
    )
