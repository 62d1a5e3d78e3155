"""A training on several devices heeds what is sent to its first process, or to all of them at once."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from ctloupe.train import checkpoint

LONG = 10_000
"""Steps that are not reached."""


@pytest.fixture
def begun(small_bank, tmp_path):
    """A training on two devices after its first steps, in a process group of its own."""
    out = tmp_path / "run"
    sets = ["--set=scale=4", "--set=patch_size=12", "--set=batch_size=2", "--set=width=4", "--set=levels=2"]
    options = ["--method", "unet", "--preset", "tiny", "--devices", "2", "--accelerator", "cpu", "--steps", str(LONG)]
    command = [sys.executable, "-m", "ctloupe.cli.main", "train", "--bank", small_bank, "--out", out, *options, *sets]
    own = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=own, start_new_session=True)
    deadline = time.monotonic() + 120
    table = out / "metrics.csv"
    while not (table.is_file() and table.read_text().count("\n") > 3):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.05)
    yield process, out
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize(
    ("number", "send", "status"),
    [(signal.SIGTERM, os.kill, 143), (signal.SIGINT, os.killpg, 130)],
    ids=["the first process", "all of a terminal"],
)
def test_a_signal_to_stop_writes_one_checkpoint_of_both(begun, number, send, status):
    process, out = begun
    send(process.pid, number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == status, said
    line = said.strip().splitlines()[-1]
    step = int(re.search(r"stopped at step (\d+); continue with --resume", line).group(1))
    kept = checkpoint.read(checkpoint.found(out / "checkpoints")[-1])
    assert kept["step"] == step and len(kept["ranks"]) == 2
    assert not json.loads((out / "manifest.json").read_text())["finished"]


@pytest.mark.slow
@pytest.mark.thorough
def test_a_process_that_is_killed_ends_the_others_in_one_line(begun):
    process, _ = begun
    children = subprocess.run(["pgrep", "-P", str(process.pid), "-f", "spawn_main"], capture_output=True, text=True)
    os.kill(int(children.stdout.split()[-1]), signal.SIGKILL)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 2, said
    assert "the process of a device ended" in said.strip().splitlines()[-1] and "Traceback" not in said
