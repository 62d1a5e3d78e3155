"""A study on volumes of the user's own: what is read, what is left out, and what is refused."""

import numpy as np
import pytest

from ctloupe.foundation.errors import CtLoupeError, FileError, GeometryError, OptionError
from ctloupe.studies.definition import load_study
from ctloupe.studies.own_data import load_own_volumes
from ctloupe.studies.results import load_results
from ctloupe.studies.runner import StudyRequest, run_study
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume

STUDY = """
title: one row
reference: a paper
protocols: [jmi, paired-phantom]
rows:
  - {key: plain, label: Lanczos, method: lanczos, paper: {psnr_peak_1_db: 17.0}}
"""
LIST = """
clinical:
  training: [scans/a.nii.gz]
  test: [scans/b.nii.gz]
  mask: none
  window: [-1000, 400]
micro:
  training: [specimens]
  test: [held-out.nii.gz]
  mask: none
  window: zscore:3
  resample: [0.075, 0.075]
"""
SMALL = {"steps": 1, "per_case": 4, "test_patches": 3}


def volume(seed, shape, spacing, modality):
    values = np.random.default_rng(seed).normal(0, 1, shape)
    values = values * 100 - 700 if modality == "clinical" else values * 2000 + 6000
    units = "HU" if modality == "clinical" else "raw"
    return Volume(values.astype(np.int16), spacing, modality=modality, units=units)


@pytest.fixture
def home(tmp_path):
    clinical, micro = (0.8, 0.6, 0.6), (0.07, 0.07, 0.07)
    for name in ("a", "b"):
        write(volume(ord(name), (3, 76, 68), clinical, "clinical"), tmp_path / "scans" / f"{name}.nii.gz")
    for name in ("one", "two"):
        write(volume(ord(name[0]), (4, 300, 300), micro, "micro"), tmp_path / "specimens" / f"{name}.nii.gz")
    write(volume(9, (3, 300, 580), micro, "micro"), tmp_path / "held-out.nii.gz")
    (tmp_path / "mine.yaml").write_text(STUDY)
    (tmp_path / "data.yaml").write_text(LIST)
    return tmp_path


def run(home, resume=False):
    told = []
    request = StudyRequest(data=home / "data.yaml", resume=resume, **SMALL)
    run_study(load_study(str(home / "mine.yaml")), home / "out", request, told.append)
    return told


def test_a_study_runs_on_volumes_that_are_no_phantoms_and_says_what_it_left_out(home):
    told = run(home)
    assert "protocol paired-phantom is left out: no test scan has a truth" in told
    result = load_results(home / "out")["plain", 0]
    assert result["state"] == "done" and set(result["protocols"]) == {"jmi"}
    assert result["protocols"]["jmi"]["facts"]["patches"] == 3
    text = (home / "out" / "table.md").read_text()
    assert "volumes of the user's own (clinical training: 1, clinical test: 1, µCT training: 1, µCT test: 1" in text
    assert "Not measured, since the volumes do not allow it: protocol paired-phantom." in text
    assert "measured on other volumes than the paper's" in text
    assert {path.name for path in (home / "out" / "pictures").iterdir()} == {
        "_scan.npy",
        "_spacing.json",
        "bicubic.npy",
        "plain.npy",
    }
    assert not (home / "out" / "enhanced").exists()
    assert run(home, resume=True)[-1:] == ["protocol paired-phantom is left out: no test scan has a truth"]


def test_a_test_scan_with_a_truth_is_compared_with_it(home):
    scan = read(home / "scans" / "b.nii.gz")
    fine = np.repeat(np.repeat(scan.array(), 8, axis=1), 8, axis=2)
    from ctloupe.volume.geometry import refined_grid

    spacing, origin = refined_grid(scan.spacing, scan.origin, scan.direction, 8)
    write(Volume(fine, spacing, origin, modality="micro", units="HU"), home / "truth.nii.gz")
    (home / "data.yaml").write_text(
        LIST.replace("test: [scans/b.nii.gz]", "test: [{scan: scans/b.nii.gz, truth: truth.nii.gz}]")
    )
    run(home)
    result = load_results(home / "out")["plain", 0]
    assert result["protocols"]["paired-phantom"]["rows"]["plain"]["PSNR (dB)"] > 20


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (("scans/a.nii.gz", "scans/c.nii.gz"), FileError, r"c\.nii\.gz: no such file.*relative to that file"),
        (("window: zscore:3", "window: wide"), FileError, "wide"),
        (("training: [scans/a.nii.gz]", "trainings: []"), FileError, "trainings"),
        (("training: [scans/a.nii.gz]\n", "training: []\n"), OptionError, "no volumes under clinical: training"),
        (("training: [specimens]\n", "training: []\n"), OptionError, "no volumes under micro: training"),
        (("micro:", "micro: ["), FileError, "not a valid list of volumes"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_in_one_line(home, change, kind, message):
    (home / "data.yaml").write_text(LIST.replace(*change))
    with pytest.raises(kind, match=message) as error:
        run(home)
    assert "\n" not in str(error.value)
    assert not (home / "out" / "data" / "bank").exists()


def test_a_list_that_is_not_there_is_named_and_no_phantoms_are_made_instead(home):
    request = StudyRequest(data=home / "nothing.yaml", **SMALL)
    with pytest.raises(FileError, match=r"nothing\.yaml"):
        run_study(load_study(str(home / "mine.yaml")), home / "out", request)
    assert not (home / "nothing.yaml").exists()


@pytest.mark.parametrize(
    ("before", "after", "where"),
    [
        ("test: [scans/b.nii.gz]", "test: [scans/a.nii.gz]", "clinical: training and clinical: test"),
        ("test: [held-out.nii.gz]", "test: [specimens/one.nii.gz]", "micro: training and micro: test"),
    ],
)
def test_a_test_volume_that_is_trained_on_is_refused(home, before, after, where):
    (home / "data.yaml").write_text(LIST.replace(before, after))
    with pytest.raises(OptionError, match=where):
        run(home)


def test_a_truth_on_another_grid_is_refused_before_anything_is_trained(home):
    test = "test: [{scan: scans/b.nii.gz, truth: scans/a.nii.gz}]"
    (home / "data.yaml").write_text(LIST.replace("test: [scans/b.nii.gz]", test))
    with pytest.raises(GeometryError, match=r"a\.nii\.gz: slices of .* expected \(608, 544\)"):
        run(home)
    assert not (home / "out" / "results").exists()


def test_paths_are_relative_to_the_list(home, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    found = load_own_volumes(home / "data.yaml")
    assert found.clinical.training == (home / "scans" / "a.nii.gz",)
    assert found.clinical.test[0].scan == home / "scans" / "b.nii.gz"


def test_other_volumes_or_other_data_in_the_folder_are_refused(home):
    run(home)
    (home / "data.yaml").write_text(LIST.replace("[-1000, 400]", "[-1000, 500]"))
    with pytest.raises(CtLoupeError, match="another volumes"):
        run(home, resume=True)


def test_a_study_of_one_set_makes_its_clinical_images_of_the_fine_ones(home):
    text = STUDY.replace("protocols:", "data: {reduced: {noise: 0.05, share: 0.5}}\nenlargement: 2\nprotocols:")
    (home / "mine.yaml").write_text(text)
    with pytest.raises(OptionError, match="leave clinical out"):
        run(home)
    (home / "data.yaml").write_text(
        "micro: {training: [scans/a.nii.gz], test: [scans/b.nii.gz], window: [-1000, 500], mask: none}\n"
        "clinical: {window: [-1000, 500], mask: none}\n"
    )
    request = StudyRequest(data=home / "data.yaml", resume=True, **SMALL)
    study = load_study(str(home / "mine.yaml"))
    for path in (home / "out").iterdir():
        path.unlink()
    from dataclasses import replace

    run_study(study.model_copy(update={"protocols": ("paired-phantom",)}), home / "out", replace(request, resume=False))
    result = load_results(home / "out")["plain", 0]
    assert result["state"] == "done", result.get("message")
    assert np.isfinite(result["protocols"]["paired-phantom"]["rows"]["plain"]["PSNR (dB)"])
