"""Checkpoints are read whatever their parts were called when they were written."""

import re

import pytest
import torch

from ctloupe.train import checkpoint
from ctloupe.train.loop import train
from ctloupe.train.run_folder import RunFolder
from ctloupe.train.stages import load_method

FORMER = (
    (r"^discriminators\.", "judges."),
    (r"^discriminator\.", "judge."),
    (r"\.head\.", ".judge."),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["srgan", "sr-unit"])
def test_a_run_of_an_earlier_version_goes_on(name, settings, tmp_path):
    wanted = settings(method=name, out=tmp_path / "run", steps=1)
    train(wanted)
    path = checkpoint.found(wanted.out / "checkpoints")[-1]
    state = torch.load(path, weights_only=True)
    former = {}
    for key, value in state["method"].items():
        for now, then in FORMER:
            key = re.sub(now, then, key)
        former[key] = value
    assert former.keys() != state["method"].keys()
    torch.save(state | {"method": former}, path)
    assert checkpoint.read(path)["method"].keys() == state["method"].keys()
    train(RunFolder(wanted.out).settings().model_copy(update={"steps": 2}), resume=True)
    assert load_method(wanted.out).networks()
