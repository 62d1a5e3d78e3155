"""Trainings of several stages: one call runs both, each has its own folder, each can be reused."""

import json

import numpy as np
import pytest
import torch

from ctloupe import methods
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.methods.package import load_package
from ctloupe.methods.synth_srgan import SUPER_RESOLVE, SYNTHESISE
from ctloupe.prepare.patches import PatchBank
from ctloupe.train import checkpoint
from ctloupe.train.loop import train
from ctloupe.train.pairs import write_pairs
from ctloupe.train.run_folder import RunFolder
from ctloupe.train.stages import load_method, plan_of


def weights(folder):
    return checkpoint.read(checkpoint.found(folder / "checkpoints")[-1])["method"]


def part(state, prefix):
    return {name: value for name, value in state.items() if name.startswith(prefix)}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def synth(settings):
    def make(**changes):
        return settings(method="synth-srgan", **changes)

    return make


@pytest.fixture
def first(synth, tmp_path):
    """A run that has trained stage 1 only."""
    made = synth(out=tmp_path / "first", stage=SYNTHESISE, steps=3)
    train(made)
    return made.out


def test_one_call_trains_both_stages_and_freezes_the_first(synth):
    made = synth(steps=2)
    model = train(made)
    assert (model / "weights.safetensors").is_file()
    for stage in (SYNTHESISE, SUPER_RESOLVE):
        manifest = json.loads((made.out / stage / "manifest.json").read_text())
        assert manifest["finished"] and manifest["steps"] == 2
    before, after = weights(made.out / SYNTHESISE), weights(made.out / SUPER_RESOLVE)
    assert same(part(before, "translators."), part(after, "translators."))
    assert not same(part(before, "generator."), part(after, "generator."))


def test_the_second_stage_reuses_the_first_of_another_run(synth, first, tmp_path):
    made = synth(out=tmp_path / "second", start_from=first, steps=2, config={"blocks": 2})
    train(made)
    assert not (made.out / SYNTHESISE).exists()
    assert same(part(weights(first / SYNTHESISE), "translators."), part(weights(made.out / SUPER_RESOLVE), "trans"))


def test_a_single_stage_leaves_no_model_package(first):
    assert not (first / "model").exists()
    assert RunFolder(first / SYNTHESISE).finished


def test_stages_share_the_minutes_and_have_the_steps_each(synth):
    kind = methods.get("synth-srgan")
    plans = plan_of(synth(minutes=10.0, steps=7), kind)
    assert [plan.minutes for plan in plans] == [5.0, 5.0]
    assert [plan.ships for plan in plans] == [False, True]
    (alone,) = plan_of(synth(minutes=10.0, stage=SYNTHESISE), kind)
    assert alone.minutes == 10.0


def test_what_cannot_be_started_is_refused_in_words(synth, settings, tmp_path, first):
    with pytest.raises(OptionError, match="builds on synthesise"):
        train(synth(out=tmp_path / "a", stage=SUPER_RESOLVE))
    with pytest.raises(OptionError, match="its stages are synthesise, super-resolve"):
        train(synth(out=tmp_path / "b", stage="third"))
    with pytest.raises(OptionError, match="has only one"):
        train(settings(out=tmp_path / "c", stage="whole"))
    with pytest.raises(FileError, match="no checkpoint of stage synthesise"):
        train(synth(out=tmp_path / "d", stage=SUPER_RESOLVE, start_from=tmp_path / "nowhere"))
    with pytest.raises(OptionError, match="not of the size"):
        train(synth(out=tmp_path / "e", start_from=first, config={"translation_width": 8}))
    assert not list(tmp_path.glob("[abd]"))


def test_a_single_stage_method_starts_from_the_networks_of_another_run(settings, tmp_path):
    old = settings(out=tmp_path / "old", steps=2)
    train(old)
    new = settings(out=tmp_path / "new", steps=1, start_from=old.out, config={"learning_rate": 1e-12})
    train(new)
    one, other = weights(old.out), weights(new.out)
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)
    before = RunFolder(new.out).effort()["started_from"]
    assert before["steps"] == 2 and before["seconds"] > 0
    assert load_package(new.out / "model").card.training["started_from"] == before


def test_a_network_that_the_other_run_did_not_have_begins_anew(settings, tmp_path):
    old = settings(method="physics-flow", out=tmp_path / "old", steps=2, config={"deviation": False})
    train(old)
    changes = {"deviation": True, "learning_rate": 1e-12}
    new = settings(method="physics-flow", out=tmp_path / "new", steps=1, start_from=old.out, config=changes)
    train(new)
    one, other = weights(old.out), weights(new.out)
    assert set(one) < set(other)
    learnt = [name for name in one if name.startswith("network.")]
    assert learnt and all(torch.allclose(one[name], other[name], atol=1e-6) for name in learnt)


def test_pairs_are_written_as_a_bank_in_the_order_of_the_micro_patches(first, tmp_path):
    out = tmp_path / "pairs"
    count = write_pairs(first, out)
    clinical, micro = PatchBank.load(out / "clinical.bank"), PatchBank.load(out / "micro.bank")
    assert len(clinical) == len(micro) == count == 11
    method = load_method(first)
    with torch.no_grad():
        expected = method.clinical_like(torch.from_numpy(micro.unit()[3:4]))[0, 0].numpy()
    step = 2 * clinical.slope / (clinical.window.high - clinical.window.low)
    assert np.abs(clinical.unit()[3, 0] - expected).max() <= step
    for place in (first, first.parent, first / "pairs"):
        with pytest.raises(FileError, match="an input is never replaced"):
            write_pairs(first, place, overwrite=True)


def test_a_method_without_clinical_like_images_says_so(settings, tmp_path):
    made = settings(method="bayes-cyclegan", steps=1)
    train(made)
    with pytest.raises(OptionError, match="bayes-cyclegan does not turn"):
        write_pairs(made.out, tmp_path / "pairs")
    assert not (tmp_path / "pairs").exists()
