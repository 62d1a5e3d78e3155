"""Verbs that let a Dask cluster work: the same files as without one."""

import json
from pathlib import Path

import numpy as np
import pytest

from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume
from small_cluster import small_cluster

pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.thorough]

STUDY = """
title: no training
reference: this project
protocols: [paired-phantom]
rows:
  - {key: plain, label: Lanczos, method: lanczos, changes: {patch_size: 8}}
"""


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    with small_cluster(tmp_path_factory.mktemp("cluster")) as (address, _):
        yield address


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def noise(shape, spacing, seed, **more):
    return Volume(np.random.default_rng(seed).integers(-900, 900, shape).astype(np.int16), spacing, **more)


def test_prepare_gives_the_same_bytes_and_evaluate_the_same_numbers_and_a_page(
    ctloupe, scheduler, tmp_path, monkeypatch
):
    write(noise((3, 32, 32), (0.5, 0.2, 0.2), 0), tmp_path / "clinical.nii.gz")
    write(noise((3, 64, 64), (0.5, 0.1, 0.1), 1, origin=(-0.05, -0.05, 0.0)), tmp_path / "fine.nii.gz")
    # Workers have another working folder than the command.
    monkeypatch.chdir(tmp_path)
    where = "--scheduler", scheduler
    banks = "prepare", "--clinical", "clinical.nii.gz", "--micro", "fine.nii.gz", "--scale", "2", "--patch", "8"
    for name, more in (("here", ()), ("there", where)):
        ctloupe(*banks, "--per-case", "4", "--clinical-mask", "none", "--micro-mask", "none", "--out", name, *more)
    assert files("here") == files("there")
    page = "evaluate", "--input", "clinical.nii.gz", "--output", "fine.nii.gz"
    printed = ctloupe(*page, "--json")
    assert ctloupe(*page, "--json", "--out", "page", *where) == printed and "bicubic" in printed
    assert json.loads((tmp_path / "page" / "metrics.json").read_text())["rows"] == json.loads(printed)["rows"]
    assert "data:image/png" in (tmp_path / "page" / "report.html").read_text()


def test_a_study_gives_the_same_numbers_and_pictures(ctloupe, scheduler, tmp_path, monkeypatch):
    (tmp_path / "plain.yaml").write_text(STUDY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    small = "--size", "8", "96", "96", "--cases", "1", "--per-case", "2", "--seeds", "1", "--data", "data"
    for name, more in (("here", ()), ("there", ("--scheduler", scheduler))):
        ctloupe("study", "run", "plain.yaml", "-o", name, *small, *more)
    found = [files(name) for name in ("here", "there")]
    assert found[0].keys() == found[1].keys()
    for name, content in found[0].items():
        if name.parts[0] == "results":
            assert json.loads(found[1][name]) == json.loads(content)
        elif name.parts[0] == "pictures" or name.name == "table.csv":
            assert found[1][name] == content
    assert {f"{row}-seed-0.json" for row in ("plain", "bicubic")} == {
        path.name for path in found[0] if path.parts[0] == "results"
    }
