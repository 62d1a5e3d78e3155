"""What a training is asked for becomes the settings of a new run, or of one that is continued."""

from pathlib import Path

import pytest

from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.train.request import TrainRequest
from ctloupe.train.run_folder import RunFolder


def request(**changes):
    return TrainRequest(**({"bank": Path("bank"), "out": Path("run"), "preset": "tiny"} | changes))


def test_what_is_left_out_has_the_defaults_of_method_and_settings():
    made = TrainRequest(Path("bank"), Path("run"), "unet").settings()
    assert (made.method, made.preset, made.seed, made.devices) == ("unet", "paper", 0, 1)
    assert made.bank.is_absolute() and made.out == Path("run")


def test_changes_go_before_the_file_and_the_file_before_the_preset(tmp_path):
    (tmp_path / "mine.yaml").write_text("batch_size: 6\npatch_size: 20\n")
    made = request(config=tmp_path / "mine.yaml", changes={"batch_size": 2}, steps=3).settings()
    assert (made.config["batch_size"], made.config["patch_size"], made.steps) == (2, 20, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bank": None}, "`bank` and `out` are needed"),
        ({"method": "bicubic"}, "`method` bicubic: there is nothing to train"),
        ({"preset": "huge"}, "no preset 'huge'"),
        ({"changes": {"nonsense": 1}}, "nonsense"),
        ({"precision": "half"}, "training options: key 'precision'"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(OptionError, match=message):
        request(**changes).settings()


@pytest.fixture
def begun(tmp_path):
    """A run folder that holds the settings of a run."""
    run = RunFolder(tmp_path / "begun")
    run.create(request(out=run.path, seed=5, steps=2).settings())
    return run


def test_a_run_is_continued_as_it_was_set_up_with_another_end(begun):
    assert TrainRequest(resume=begun.path, steps=9).settings() == begun.settings().model_copy(update={"steps": 9})


@pytest.mark.parametrize(
    "fixed", [{"out": Path("other")}, {"changes": {"batch_size": 2}}, {"stage": "whole"}, {"start_from": Path("other")}]
)
def test_what_a_run_was_set_up_with_is_left_out_where_it_is_continued(begun, fixed):
    with pytest.raises(OptionError, match="leave `bank`, `out`, `changes`"):
        TrainRequest(resume=begun.path, **fixed).settings()
    with pytest.raises(OptionError, match="leave `seed` out"):
        TrainRequest(resume=begun.path, seed=6).settings()


def test_where_there_is_no_run_none_is_continued(tmp_path):
    with pytest.raises(FileError, match="no training run here"):
        TrainRequest(resume=tmp_path).settings()
