"""What a run folder says is read with a schema: one line names the file, the field and what was expected."""

import json
import shutil

import pytest
import torch
import yaml

from ctloupe.foundation.errors import CtLoupeError, FileError
from ctloupe.train import checkpoint
from ctloupe.train.loop import train
from ctloupe.train.run_folder import MetricsLog, RunFolder
from ctloupe.train.stages import load_method


@pytest.fixture
def run(tiny_model, tmp_path):
    """A copy of a finished run."""
    return RunFolder(shutil.copytree(tiny_model.parent, tmp_path / "run"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", "many"), ("steps", -1), ("training_seconds", None), ("finished", [1]), ("started_from", 3)],
)
def test_a_damaged_manifest_names_its_field(run, field, value):
    run.manifest.write_text(json.dumps(json.loads(run.manifest.read_text()) | {field: value}))
    with pytest.raises(FileError, match=rf"manifest\.json: not a valid manifest: key '{field}': Input should be"):
        run.facts()


def test_a_damaged_configuration_names_its_key(run):
    content = yaml.safe_load(run.config.read_text())
    run.config.write_text(yaml.safe_dump(content | {"config": content["config"] | {"patch_size": "wide"}}))
    for use in (lambda: load_method(run.path), lambda: train(run.settings(), resume=True)):
        with pytest.raises(CtLoupeError, match=r"config\.yaml: config: key 'patch_size': Input should be"):
            use()


@pytest.mark.parametrize("damage", [b"step\nmany\n", b"step,total\n1,\xff\n", b"total\n1\n"])
def test_a_damaged_table_of_losses_is_refused(run, damage):
    run.metrics.write_bytes(damage)
    with pytest.raises(FileError, match=r"metrics\.csv: not a table with a whole number in column 'step'"):
        MetricsLog(run.metrics, 10)


@pytest.mark.parametrize(
    ("field", "value"),
    [("step", -1), ("elapsed", "long"), ("method", {"weight": 1}), ("optimisers", []), ("ranks", []), ("ranks", [{}])],
)
def test_a_damaged_checkpoint_names_its_field(run, field, value):
    path = checkpoint.found(run.checkpoints)[-1]
    torch.save(torch.load(path, weights_only=True) | {field: value}, path)
    with pytest.raises(FileError, match=rf"\.ckpt: damaged checkpoint: key '{field}.*': .*; delete it to resume"):
        checkpoint.read(path)


@pytest.mark.parametrize("field", ["method", "optimisers"])
def test_a_checkpoint_of_another_method_is_refused(run, field):
    path = checkpoint.found(run.checkpoints)[-1]
    torch.save(torch.load(path, weights_only=True) | {field: {}}, path)
    with pytest.raises(FileError, match=r"\.ckpt: does not fit this method"):
        train(run.settings(), resume=True)
