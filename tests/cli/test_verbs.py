"""The verbs' answers: help, machine-readable output, and what they promise."""

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ctloupe.cli.main import main
from ctloupe.volume.formats import read, write
from ctloupe.volume.geometry import as_direction
from ctloupe.volume.volume import Volume

VERBS = [
    "demo",
    "doctor",
    "inspect",
    "phantom",
    "scanner",
    "prepare",
    "train",
    "enhance",
    "view",
    "evaluate",
    "suite",
    "compare",
    "models",
]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(ctloupe, verb):
    text = ctloupe(verb, "--help")
    assert f"ctloupe {verb}" in text or verb == "models"
    assert "Usage" in text


def test_help_imports_neither_torch_nor_numpy():
    code = (
        "import sys\nsys.argv = ['ctloupe', '--help']\nfrom ctloupe.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'numpy', 'SimpleITK', 'zarr', 'matplotlib', 'pydantic', 'requests'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Research use only" in " ".join(done.stdout.split())


@pytest.mark.slow
def test_models_show_prints_the_papers_parameter_counts(ctloupe):
    facts = json.loads(ctloupe("models", "show", "sr-cyclegan", "--preset", "jmi2022", "--json"))
    assert facts["parameters"]["total"] == 19_264_369
    assert facts["gflop_per_sample"]["enhance"] == pytest.approx(1.95, abs=0.01)
    assert facts["gflop_per_sample"]["train_step"] > 600
    assert facts["loss_weights"]["downsample"] == 0.7
    listed = json.loads(ctloupe("models", "--json"))
    assert {"bicubic", "sr-cyclegan"} <= {one["name"] for one in listed}


def test_doctor_tells_devices_memory_and_what_is_missing(ctloupe):
    facts = json.loads(ctloupe("doctor", "--json"))
    assert {"torch", "devices", "memory_gb", "disk_gb", "extras", "problems"} <= facts.keys()
    assert any(device["name"] == "cpu" for device in facts["devices"])
    assert all("pip install" in extra["need"] for extra in facts["extras"])
    assert "torch" in ctloupe("doctor")


def test_inspect_tells_shape_place_and_warnings_as_json(ctloupe, tmp_path):
    turned = as_direction(Rotation.from_euler("z", 90, degrees=True).as_matrix())
    values = np.full((3, 5, 7), -850, np.int16)
    path = write(Volume(values, (5.0, 0.7, 0.7), (10.0, -20.5, 30.0), turned), tmp_path / "scan.mha")
    facts = json.loads(ctloupe("inspect", path, "--json"))
    assert facts["format"] == "metaimage"
    assert facts["shape"] == [3, 5, 7]
    assert facts["spacing"] == pytest.approx([5.0, 0.7, 0.7])
    assert facts["origin"] == pytest.approx([10.0, -20.5, 30.0])
    np.testing.assert_allclose(facts["direction"], [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-6)
    assert facts["warnings"]
    shown = ctloupe("inspect", path)
    for words in ("5 × 0.7 × 0.7 mm", "10, -20.5, 30 mm", "x runs along (0, 1, 0)", "y runs along (-1, 0, 0)"):
        assert words in shown


def test_phantom_scans_overlay_and_are_the_same_for_the_same_seed(ctloupe, tmp_path):
    asked = [
        "--kind",
        "lung",
        "--size",
        "16",
        "64",
        "64",
        "--seed",
        "7",
        "--scanner",
        "ringing",
        "--scanner",
        "streaks",
    ]
    for name in ("a", "b"):
        ctloupe("phantom", *asked, "--out", tmp_path / name)
    one = {part: read(tmp_path / "a" / f"{part}.nii.gz") for part in ("clinical", "micro", "truth", "labels")}
    other = {part: read(tmp_path / "b" / f"{part}.nii.gz") for part in one}
    for part in one:
        assert np.array_equal(one[part].array(), other[part].array())
    corners = [volume.physical((-0.5, -0.5, -0.5)) for volume in one.values()]
    far = [volume.physical(tuple(n - 0.5 for n in volume.shape)) for volume in one.values()]
    assert np.allclose(corners, corners[0], atol=1e-4)
    assert np.allclose(far, far[0], atol=1e-4)
    assert json.loads((tmp_path / "a" / "phantom.json").read_text())["config"]["scanner"] == ["ringing", "streaks"]


def test_enhancing_part_of_a_scan_writes_that_part(ctloupe, tmp_path, tiny_model):
    values = np.random.default_rng(0).normal(-800, 80, (4, 20, 22)).astype(np.int16)
    scan = write(Volume(values, (0.6, 0.6, 0.6), units="HU"), tmp_path / "scan.nii.gz")
    common = ["--model", tiny_model, "--mask", "none"]
    ctloupe("enhance", scan, "-o", tmp_path / "whole.ome.zarr", *common)
    ctloupe("enhance", scan, "-o", tmp_path / "part.nii.gz", *common, "--slices", "1:3")
    whole, part = read(tmp_path / "whole.ome.zarr"), read(tmp_path / "part.nii.gz")
    assert whole.shape == (4, 80, 88)
    assert np.array_equal(part.array(), whole.array()[1:3])
    assert np.allclose(part.physical((0, 0, 0)), whole.physical((1, 0, 0)), atol=1e-4)


@pytest.mark.slow
def test_evaluate_gives_a_bicubic_row_a_page_and_numbers(ctloupe, tmp_path):
    folder = tmp_path / "phantom"
    ctloupe("phantom", "--size", "16", "64", "64", "--out", folder)
    scan = folder / "clinical.nii.gz"
    ctloupe("enhance", scan, "-o", tmp_path / "sr.nii.gz", "--model", "bicubic")
    command = ["evaluate", "--input", scan, "--output", tmp_path / "sr.nii.gz", "--truth", folder / "truth.nii.gz"]
    found = json.loads(ctloupe(*command, "--labels", folder / "labels.nii.gz", "-o", tmp_path / "out", "--json"))
    assert list(found["rows"]) == ["bicubic", "enhanced"]
    assert found["rows"]["bicubic"] == pytest.approx(found["rows"]["enhanced"])
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["protocol"] == found["protocol"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Research use only" in page
    assert "airway wall" in page
    assert "PSNR" in ctloupe(*command)


def test_the_jmi_protocol_needs_no_truth(ctloupe, tmp_path, tiny_model):
    values = np.random.default_rng(0).normal(6000, 2000, (2, 100, 100)).astype(np.int16)
    micro = write(Volume(values, (0.15, 0.15, 0.15)), tmp_path / "micro.nii.gz")
    text = ctloupe("evaluate", "--protocol", "jmi", "--micro", micro, "--model", tiny_model)
    assert "bicubic" in text
    assert "sr-cyclegan" in text
    assert "PSNR peak 1 (dB)" in text


def test_phantom_makes_a_pair_of_a_real_micro_ct_and_refuses_the_options_of_an_anatomy(ctloupe, tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 255, (9, 40, 40)).astype(np.uint8)
    write(Volume(values, (0.05, 0.05, 0.05)), tmp_path / "micro.nii.gz")
    asked = ("phantom", "--from-micro", tmp_path / "micro.nii.gz", "--scale", "4", "--slices", "2", "--planes", "1,7")
    ctloupe(*asked, "--micro-window", "0,255", "--hu", "-900,300", "--out", tmp_path / "pair")
    record = json.loads((tmp_path / "pair" / "paired-micro.json").read_text())
    assert read(tmp_path / "pair" / "clinical.nii.gz").shape == (3, 10, 10) and record["planes"] == [1, 7]
    assert record["intensities"] == {"micro": [0, 255], "hu": [-900, 300]}
    for option in (("--nodule",), ("--size", "8", "96", "96")):
        given = [str(part) for part in ("ctloupe", *asked, *option, "--out", tmp_path / "no")]
        monkeypatch.setattr(sys, "argv", given)
        with pytest.raises(SystemExit):
            main()


def test_only_the_command_line_begins_processes_that_nobody_asked_for():
    code = "from ctloupe.foundation.workers import unasked_allowed; before = unasked_allowed()\n"
    code += "from ctloupe.cli import main; import sys; sys.argv = ['ctloupe', '--version']\n"
    code += "try:\n    main.main()\nexcept SystemExit:\n    print(before, unasked_allowed())"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told.splitlines()[-1] == "False True"
