"""`ctloupe study`, `ctloupe pairs`, and what `train` and `enhance` gained with them, as typed by a user."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ctloupe.evaluate.request import EvaluateRequest, evaluate_files
from ctloupe.foundation.errors import OptionError
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume

SMALL = ["--set", "width=8", "--set", "blocks=1", "--set", "scale=4", "--set", "patch_size=12", "--set", "batch_size=2"]
STAGES = ["translation_width=4", "translation_blocks=1", "translation_discriminator_width=4", "discriminator_width=4"]


def test_listing_studies_imports_no_torch():
    code = "import sys; sys.argv=['ctloupe','study','list']\nfrom ctloupe.cli.main import app\n"
    code += "try: app()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "jmi-table3" in done.stdout and "rows: A, B, C" in done.stdout


def test_studies_are_listed_for_machines_too(ctloupe):
    assert "all" in [one["name"] for one in json.loads(ctloupe("study", "list", "--json"))]


@pytest.mark.slow
def test_a_study_runs_and_its_report_is_printed(ctloupe, tmp_path):
    small = ["--scale", "tiny", "--steps", 1, "--size", 8, 256, 256]
    few = ["--per-case", 6, "--cases", 1, "--seeds", 1, "--test-patches", 4]
    page = ctloupe("study", "run", "synth-table1", "-o", tmp_path / "s", "--only", "SR-CycleGAN", *small, *few)
    assert page.strip().endswith("report.html")
    printed = ctloupe("study", "report", tmp_path / "s")
    assert "Protocol synth, version 2" in printed and "| bicubic |" in printed and "jmi" not in printed


@pytest.fixture(scope="module")
def two_stage_run(small_bank, tmp_path_factory):
    from ctloupe.cli.main import app

    out = tmp_path_factory.mktemp("runs") / "synth"
    sets = [part for one in STAGES for part in ("--set", one)]
    arguments = ["train", "--bank", small_bank, "--method", "synth-srgan", "--preset", "tiny", "--steps", 2]
    app([*map(str, [*arguments, "--out", out, *SMALL, *sets])], standalone_mode=False)
    return out


def test_both_stages_are_trained_by_one_call_and_the_second_can_be_repeated(ctloupe, two_stage_run, small_bank):
    assert (two_stage_run / "synthesise" / "metrics.csv").is_file()
    sets = [part for one in STAGES for part in ("--set", one)]
    again = two_stage_run.parent / "again"
    arguments = ["train", "--bank", small_bank, "--method", "synth-srgan", "--preset", "tiny", "--steps", 1]
    ctloupe(*arguments, "--from", two_stage_run, "--out", again, *SMALL, *sets)
    assert (again / "model" / "model.json").is_file() and not (again / "synthesise").exists()


def test_one_stage_alone_names_what_comes_next(ctloupe, small_bank, tmp_path):
    sets = [part for one in STAGES for part in ("--set", one)]
    arguments = ["train", "--bank", small_bank, "--method", "synth-srgan", "--preset", "tiny", "--steps", 1]
    printed = ctloupe(*arguments, "--stage", "synthesise", "--out", tmp_path / "one", *SMALL, *sets)
    assert printed.strip() == str(tmp_path / "one")


def test_pairs_are_written_as_a_bank(ctloupe, two_stage_run, tmp_path):
    printed = ctloupe("pairs", two_stage_run, "-o", tmp_path / "pairs")
    assert printed.strip() == str(tmp_path / "pairs")
    assert len(PatchBank.load(tmp_path / "pairs" / "clinical.bank")) == 11


def test_any_model_is_judged_on_what_a_run_makes_of_micro_ct(ctloupe, two_stage_run, tmp_path):
    values = np.random.default_rng(0).normal(6000, 2000, (2, 100, 100)).astype(np.int16)
    micro = write(Volume(values, (0.15, 0.15, 0.15)), tmp_path / "micro.nii.gz")
    asked = ["evaluate", "--protocol", "synth", "--micro", micro, "--model", two_stage_run / "model", "--patches", 2]
    printed = ctloupe(*asked, "--pairs-from", two_stage_run)
    assert "protocol synth, version 2" in printed and "bicubic" in printed and "synth-srgan" in printed
    request = EvaluateRequest(protocol="synth", micro=micro, model=(("m", two_stage_run / "model"),))
    for wrong in (request, replace(request, protocol="jmi", pairs_from=two_stage_run)):
        with pytest.raises(OptionError, match=r"`protocol` synth and `pairs_from`.*belong together"):
            evaluate_files(wrong)


def test_samples_write_a_mean_and_an_uncertainty(ctloupe, small_bank, tmp_path):
    sizes = ["--set", "width=4", "--set", "blocks=1", "--set", "scale=4", "--set", "patch_size=12"]
    arguments = ["train", "--bank", small_bank, "--method", "bayes-cyclegan", "--preset", "tiny", "--steps", 1]
    model = ctloupe(*arguments, "--out", tmp_path / "run", *sizes).strip()
    values = np.random.default_rng(0).normal(-800, 100, (2, 20, 20)).astype(np.int16)
    write(Volume(values, (0.6, 0.6, 0.6), units="HU"), tmp_path / "scan.nii.gz")
    ctloupe("enhance", tmp_path / "scan.nii.gz", "-o", tmp_path / "sr.ome.zarr", "--model", model, "--samples", 3,
            "--mask", "none")  # fmt: skip
    mean, spread = read(tmp_path / "sr.ome.zarr"), read(tmp_path / "sr-uncertainty.ome.zarr")
    assert mean.shape == spread.shape == (2, 80, 80)
    assert float(np.asarray(spread.data[0]).max()) > 0


@pytest.mark.parametrize("name", ["nearest", "lanczos"])
def test_reference_interpolations_enhance_without_a_model_folder(ctloupe, tmp_path, name):
    values = np.random.default_rng(0).normal(-800, 100, (2, 9, 11)).astype(np.int16)
    write(Volume(values, (0.6, 0.6, 0.6), units="HU"), tmp_path / "scan.nii.gz")
    ctloupe("enhance", tmp_path / "scan.nii.gz", "-o", tmp_path / "out.nii.gz", "--model", name, "--scale", 2)
    made = read(tmp_path / "out.nii.gz").array()
    assert made.shape == (2, 18, 22)
    if name == "nearest":
        assert np.array_equal(made[:, ::2, ::2], values)
