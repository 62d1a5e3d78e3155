"""Every method goes the same way: trained, stopped, resumed, packaged, loaded, enhancing, evaluated."""

import numpy as np
import pytest
import torch

from ctloupe import methods
from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.protocols.paired_phantom import compare_with_truth
from ctloupe.prepare.patches import PatchBank
from ctloupe.train import checkpoint
from ctloupe.train.bank_pair import device_bank
from ctloupe.train.loop import train
from ctloupe.train.run_folder import RunFolder
from ctloupe.train.stages import load_method
from ctloupe.volume.volume import Volume

TRAINABLE = [name for name in methods.names() if methods.get(name).trainable]


def last_stage(run, name):
    stages = methods.get(name).stages
    return run if len(stages) == 1 else run / stages[-1]


def weights(run, name):
    return checkpoint.read(checkpoint.found(last_stage(run, name) / "checkpoints")[-1])["method"]


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINABLE)
def test_a_resumed_training_is_the_uninterrupted_one_and_its_model_enhances(name, settings, tmp_path):
    cut = settings(method=name, out=tmp_path / "cut", steps=2, checkpoint_steps=1, keep_checkpoints=9)
    train(cut)
    one = weights(cut.out, name)
    late = checkpoint.found(last_stage(cut.out, name) / "checkpoints")[1:]
    assert late
    for path in late:
        path.unlink()
    model = train(RunFolder(cut.out).settings(), resume=True)
    other = weights(cut.out, name)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)

    values = np.random.default_rng(0).normal(-800, 100, (2, 17, 20)).astype(np.int16)
    scan = Volume(values, (0.6, 0.6, 0.6), modality="clinical", units="HU")
    enhanced = load_model(model).enhance(scan)
    assert enhanced.shape == (2, 68, 80)
    found = compare_with_truth(scan, {name: enhanced}, enhanced)
    assert list(found.rows) == ["bicubic", name]
    assert found.rows[name]["MAE (HU)"] == 0
    rebuilt = load_method(cut.out).enhancer()
    low = torch.rand(1, 1, 12, 12) - 0.5
    with torch.no_grad():
        assert torch.equal(rebuilt(low), load_model(model).model.network(low))


def test_thick_patches_are_loaded_for_methods_that_read_them_only():
    volume = Volume(np.zeros((4, 9, 9), np.int16), (0.1, 0.1, 0.1))
    bank = PatchBank.sample([("v", volume, None)], 4, 3, thickness_mm=0.3)
    assert bank.slice_averages is not None
    assert device_bank(bank, torch.device("cpu")).slice_averages is None
    assert device_bank(bank, torch.device("cpu"), slice_averages=True).slice_averages is not None
    assert [name for name in TRAINABLE if methods.get(name).reads_slice_average] == ["physics-srgan", "physics-flow"]
