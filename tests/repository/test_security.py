"""What the page on security promises is held by tests that exist, and no pickle from outside runs."""

import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ctloupe.foundation.errors import FileError
from ctloupe.methods.package import load_package
from ctloupe.prepare.patches import PatchBank
from ctloupe.train import checkpoint

ROOT = Path(__file__).resolve().parents[2]


def rows():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


def test_each_threat_has_a_test_that_exists():
    assert len(rows()) > 10
    for row in rows():
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, row
        for file, test in named:
            assert re.search(rf"^def {test}\(", (ROOT / file).read_text(encoding="utf-8"), flags=re.M), (
                f"{file}::{test}"
            )


class Payload:
    """An object whose unpickling makes a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


@pytest.fixture
def ran(tmp_path):
    return tmp_path / "ran"


def test_a_payload_runs_where_it_is_unpickled(ran):
    pickle.loads(pickle.dumps(Payload(ran), 2))
    assert ran.exists()


def test_no_pickle_runs_in_place_of_weights(tiny_model, tmp_path, ran):
    package = shutil.copytree(tiny_model, tmp_path / "model")
    for content in (pickle.dumps(Payload(ran), 2), _saved(tmp_path, Payload(ran))):
        (package / "weights.safetensors").write_bytes(content)
        with pytest.raises(FileError, match=r"weights\.safetensors: missing or damaged"):
            load_package(package)
    assert not ran.exists()


@pytest.mark.parametrize("name", ["patches.npy", "thick.npy"])
def test_no_pickle_runs_in_place_of_patches(small_bank, tmp_path, ran, name):
    bank = shutil.copytree(small_bank / "micro.bank", tmp_path / "micro.bank")
    np.save(bank / name, np.array([Payload(ran)], dtype=object), allow_pickle=True)
    with pytest.raises(FileError, match=r"micro\.bank"):
        PatchBank.load(bank)
    assert not ran.exists()


def test_no_pickle_runs_in_place_of_a_checkpoint(tmp_path, ran):
    file = tmp_path / "step-00000001.ckpt"
    for content in (pickle.dumps(Payload(ran), 2), _saved(tmp_path, {"format_version": 1, "step": Payload(ran)})):
        file.write_bytes(content)
        with pytest.raises(FileError, match="not a readable checkpoint"):
            checkpoint.read(file)
    assert not ran.exists()


def _saved(folder, value):
    """What PyTorch writes of a value."""
    torch.save(value, folder / "saved")
    return (folder / "saved").read_bytes()
