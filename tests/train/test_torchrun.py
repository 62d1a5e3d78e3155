"""Processes that torchrun has started train as those that are started here, on one machine or several."""

import json
import os
import subprocess
import sys

import pytest

from ctloupe.foundation.errors import OptionError
from ctloupe.train.fabric import make_fabric
from ctloupe.train.request import TrainRequest
from ctloupe.train.torchrun import Torchrun, is_first, torchrun
from warm_process import run_python

OPTIONS = ["--method", "unet", "--preset", "tiny", "--accelerator", "cpu", "--deterministic", "--steps", "3"]
SMALL = ["--set=scale=4", "--set=patch_size=12", "--set=batch_size=2", "--set=width=4", "--set=levels=2"]


@pytest.mark.slow
@pytest.mark.thorough
def test_two_processes_of_torchrun_train_to_the_bytes_of_two_devices(small_bank, tmp_path):
    train = ["-m", "ctloupe.cli.main", "train", "--bank", str(small_bank), *OPTIONS, *SMALL, "--out"]
    started = subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *train, "started"],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    here = run_python(*train, "here", "--devices", "2", cwd=tmp_path)
    assert here.returncode == 0, here.stderr
    printed, said = started.communicate(timeout=120)
    assert started.returncode == 0, said
    assert printed == "started/model\n" and said.count("trained; model package") == 1
    one, other = (tmp_path / run / "model" / "weights.safetensors" for run in ("started", "here"))
    assert one.read_bytes() == other.read_bytes()
    assert json.loads((tmp_path / "started" / "manifest.json").read_text())["devices"] == 2
    assert not (tmp_path / "started" / ".lock").exists()


@pytest.fixture
def second_of_four(monkeypatch):
    """What torchrun tells the last process of the first of two machines."""
    told = {"TORCHELASTIC_RUN_ID": "run", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)


def test_processes_of_several_machines_are_counted_and_no_other_number_may_be_asked_for(second_of_four, settings):
    assert torchrun() == Torchrun(1, 4, 2) and not is_first()
    asked = {"bank": settings().bank, "out": settings().out, "changes": {"batch_size": 4}}
    assert TrainRequest(**asked).settings().devices == 4
    with pytest.raises(OptionError, match="`devices` 2: torchrun has started 4 processes; leave it out"):
        TrainRequest(**asked, devices=2).settings()
    with pytest.raises(OptionError, match="torchrun has started 4"):
        make_fabric(settings(devices=1))
    fabric = make_fabric(settings(devices=4, config={"batch_size": 4}))
    assert (fabric.world_size, fabric.global_rank, fabric.local_rank) == (4, 1, 1)


def test_a_process_that_nobody_else_has_started_is_the_first():
    assert torchrun() is None and is_first()
