"""Training as a user meets it: a run folder, exact resume, ranks, and clear ends."""

import csv
import json
import os
import signal
import time

import pytest
import torch
import yaml
from safetensors.torch import load_file

from ctloupe.enhance.resolver import load_model
from ctloupe.foundation.errors import FileError, Interrupted, OptionError, TrainingError
from ctloupe.foundation.progress import Silent
from ctloupe.methods.package import load_package
from ctloupe.train import checkpoint
from ctloupe.train.loop import train
from ctloupe.train.run_folder import RunFolder
from warm_process import run_python, warm_context


def weights(run):
    return checkpoint.read(checkpoint.found(run / "checkpoints")[-1])["method"]


def rows(run, leave_out=("elapsed_s",)):
    with (run / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in leave_out} for row in csv.DictReader(file)]


def assert_same(one, other, tolerance=0.0):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.allclose(one[name], other[name], rtol=0, atol=tolerance), name


@pytest.mark.parametrize("width", [10**7, 10**30])
def test_sizes_that_no_memory_holds_are_refused_before_a_folder_is_made(settings, width):
    made = settings(method="unet", config={"width": width})
    with pytest.raises(OptionError, match=r"method unet: its (sizes|weights) .*; choose smaller sizes with `set`"):
        train(made)
    assert not made.out.exists()


def test_a_run_folder_holds_everything_that_the_design_names(settings):
    made = settings(preview_steps=2)
    model = train(made)
    run = made.out
    assert model == run / "model"
    resolved = yaml.safe_load((run / "config.yaml").read_text())
    assert resolved["config"]["weights"]["cycle"] == 2.0
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["software"]["torch"] == torch.__version__
    assert {"command", "started", "steps", "device", "training_seconds"} <= manifest.keys()
    assert [path.name for path in (run / "previews").iterdir()]
    assert list((run / "events").glob("events.*"))
    written = rows(run)
    assert [row["step"] for row in written] == ["1", "2", "3", "4"]
    assert {"ssim_clinical", "adversarial_micro", "discriminator_micro", "cycle", "total"} < written[0].keys()
    assert float(written[0]["learning_rate"]) == pytest.approx(6e-4)
    assert 0 < float(written[-1]["learning_rate"]) < 6e-4


def test_the_model_package_holds_the_enhancer_and_loads_without_unpickling(settings):
    made = settings()
    package = load_package(train(made))
    tensors = load_file(made.out / "model" / "weights.safetensors")
    trained = weights(made.out)
    assert_same(tensors, {key.removeprefix("generators.g1."): v for key, v in trained.items() if ".g1." in key})
    assert package.card.fingerprint.clinical_spacing == (0.6, 0.6)
    assert "Research use only" in package.card.notice
    assert load_model(made.out / "model").scale == 4


@pytest.mark.slow
@pytest.mark.parametrize("method_changes", [{}, {"history": 5, "mixed_input": 4, "shrinking": "strided"}])
def test_six_steps_equal_three_a_resume_and_three(settings, tmp_path, method_changes):
    whole = settings(out=tmp_path / "whole", steps=6, config=method_changes)
    train(whole)
    cut = settings(out=tmp_path / "cut", steps=6, checkpoint_steps=3, keep_checkpoints=9, config=method_changes)
    train(cut)
    for late in checkpoint.found(cut.out / "checkpoints"):
        if "00000003" not in late.name:
            late.unlink()
    train(RunFolder(cut.out).settings(), resume=True)
    assert_same(weights(whole.out), weights(cut.out))
    assert rows(whole.out) == rows(cut.out)


@pytest.mark.slow
def test_a_killed_run_resumes_with_the_losses_of_an_uninterrupted_one(settings, tmp_path):
    made = settings(out=tmp_path / "killed", steps=9, checkpoint_steps=2)
    RunFolder(made.out)
    slow = made.model_copy(update={"preview_steps": 1})
    process = warm_context().Process(target=train, args=(slow,))
    process.start()
    deadline = time.monotonic() + 120
    while len(checkpoint.found(made.out / "checkpoints")) < 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.join()
    stopped = len(rows(made.out))
    train(RunFolder(made.out).settings(), resume=True)
    whole = settings(out=tmp_path / "whole", steps=9)
    train(whole)
    assert stopped <= 9
    assert rows(made.out) == rows(whole.out)
    assert_same(weights(whole.out), weights(made.out))


@pytest.mark.slow
def test_two_ranks_train_to_the_weights_of_one(settings, tmp_path):
    one = settings(out=tmp_path / "one", steps=4, config={"batch_size": 4})
    train(one)
    command = ["-m", "ctloupe.cli.main", "train", "--bank", one.bank, "--out", tmp_path / "two"]
    options = ["--preset", "tiny", "--devices", "2", "--accelerator", "cpu", "--precision", "32-true", "--steps", "4"]
    sets = [f"--set={key}={value}" for key, value in _flat(one.config).items()]
    done = run_python(*command, *options, "--deterministic", *sets)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "two" / "manifest.json").read_text())["devices"] == 2
    # A bias before a normalisation has no effect and no gradient but rounding, which Adam makes full steps of.
    first, second = (
        {k: v for k, v in weights(run).items() if not k.endswith(".bias") or ".last." in k}
        for run in (one.out, tmp_path / "two")
    )
    assert_same(first, second, tolerance=2e-5)
    image = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(0)) - 1
    made = [load_model(run / "model").enhance_unit(image) for run in (one.out, tmp_path / "two")]
    assert (made[0] - made[1]).abs().max() < 0.01, (made[0] - made[1]).abs().max()
    for a, b in zip(rows(one.out), rows(tmp_path / "two"), strict=True):
        assert {k: float(v) for k, v in a.items()} == pytest.approx({k: float(v) for k, v in b.items()}, rel=1e-3)


def _flat(config):
    plain = {key: config[key] for key in ("scale", "patch_size", "batch_size", "width", "blocks")}
    return plain | {
        key: config[key] for key in config if key.startswith(("shrinking_", "discriminator_w", "discriminator_s"))
    }


def test_a_loss_that_is_no_number_stops_with_its_name_and_the_last_good_checkpoint(settings, monkeypatch):
    from ctloupe.methods.sr_cyclegan import SRCycleGAN

    original, count = SRCycleGAN.step, [0]

    def poisoned(self, batch, backend):
        losses = original(self, batch, backend)
        count[0] += 1
        return losses | ({"cycle": losses["cycle"] * float("nan")} if count[0] == 4 else {})

    monkeypatch.setattr(SRCycleGAN, "step", poisoned)
    made = settings(steps=6, checkpoint_steps=2)
    with pytest.raises(TrainingError, match=r"'cycle' became nan at step 4.*step-00000002\.ckpt"):
        train(made)
    assert [path.name for path in checkpoint.found(made.out / "checkpoints")] == ["step-00000002.ckpt"]


class Sends(Silent):
    """Progress that sends a signal to this process after the second step."""

    def __init__(self, number):
        self.number, self.updates = number, 0

    def update(self, done, note=""):
        self.updates += 1
        if self.updates == 2:
            os.kill(os.getpid(), self.number)


def test_a_signal_to_stop_writes_a_checkpoint_and_resume_goes_on(settings):
    made = settings(steps=5)
    with pytest.raises(Interrupted, match="stopped at step 3; continue with `resume`"):
        train(made, Sends(signal.SIGTERM))
    assert [path.name for path in checkpoint.found(made.out / "checkpoints")] == ["step-00000003.ckpt"]
    train(RunFolder(made.out).settings(), resume=True)
    assert [row["step"] for row in rows(made.out)] == ["1", "2", "3", "4", "5"]


def test_the_signal_of_slurm_before_the_end_of_a_job_writes_a_checkpoint_and_training_goes_on(settings):
    made = settings(steps=4)
    train(made, Sends(signal.SIGUSR1))
    found = [path.name for path in checkpoint.found(made.out / "checkpoints")]
    assert found == ["step-00000003.ckpt", "step-00000004.ckpt"]


@pytest.mark.slow
def test_minutes_end_a_run_and_the_learning_rate_falls_with_time(settings):
    made = settings(steps=None, minutes=0.03, config={"constant_fraction": 0.0})
    train(made)
    rates = [float(row["learning_rate"]) for row in rows(made.out)]
    assert rates[0] == pytest.approx(6e-4)
    assert sorted(set(rates), reverse=True) == rates


def test_a_second_run_in_the_same_folder_is_refused(settings):
    made = settings(steps=1)
    train(made)
    with pytest.raises(FileError, match="`resume`"):
        train(made)


def test_a_run_that_is_under_way_is_not_resumed_by_another(settings):
    made, refused = settings(steps=3), []

    class Meanwhile(Silent):
        def update(self, done, note=""):
            with pytest.raises(FileError, match="is writing it; wait"):
                train(made, resume=True)
            refused.append(done)

    train(made, Meanwhile())
    assert len(refused) == 3 and [row["step"] for row in rows(made.out)] == ["1", "2", "3"]
    assert not (made.out / ".lock").exists()


def test_a_missing_bank_a_batch_that_cannot_be_split_and_an_untrainable_method_are_refused(settings, tmp_path):
    with pytest.raises(FileError, match="ctloupe prepare"):
        train(settings(bank=tmp_path / "nothing"))
    with pytest.raises(ValueError, match="cannot be split over 4"):
        settings(devices=4)
    with pytest.raises(OptionError, match="nothing to train"):
        train(settings(preset="default", method="bicubic"))


def test_a_damaged_checkpoint_is_an_error_that_names_it(settings):
    made = settings(steps=1)
    train(made)
    newest = checkpoint.found(made.out / "checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(FileError, match=r"step-00000001\.ckpt"):
        train(RunFolder(made.out).settings(), resume=True)


def test_training_in_bf16_is_finite_and_close_to_float32(settings, tmp_path):
    exact = settings(out=tmp_path / "a", steps=3)
    half = settings(out=tmp_path / "b", steps=3, precision="bf16-mixed", deterministic=False)
    train(exact)
    train(half)
    for a, b in zip(rows(exact.out), rows(half.out), strict=True):
        assert float(b["total"]) == pytest.approx(float(a["total"]), rel=0.1)


def test_a_checkpoint_without_its_optimisers_a_damaged_manifest_and_an_unknown_setting_are_named(settings):
    made = settings(steps=1)
    train(made)
    run = RunFolder(made.out)
    newest = checkpoint.found(run.checkpoints)[-1]
    state = checkpoint.read(newest)
    torch.save({key: value for key, value in state.items() if key != "optimisers"}, newest)
    with pytest.raises(FileError, match=r"step-00000001\.ckpt.*'optimisers'"):
        train(run.settings(), resume=True)
    run.manifest.write_text("{")
    with pytest.raises(FileError, match=r"manifest\.json: not a valid manifest"):
        run.facts()
    run.config.write_text(run.config.read_text() + "sees: 1\n")
    with pytest.raises(OptionError, match=r"config\.yaml: key 'sees'.*keys are: method, preset"):
        run.settings()
