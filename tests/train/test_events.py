"""Curves for TensorBoard are an extra; a training does without."""

import sys

from ctloupe.train.events import Events


def test_scalars_reach_an_event_file(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = Events(tmp_path, 1)
    events.add({"loss/total": 0.5, "learning_rate": 1e-3}, 1)
    events.add({"loss/total": 0.25}, 2)
    events.close()
    found = EventAccumulator(str(tmp_path)).Reload()
    assert [(one.step, one.value) for one in found.Scalars("loss/total")] == [(1, 0.5), (2, 0.25)]


def test_without_tensorboard_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    events = Events(tmp_path / "events", 1)
    events.add({"loss/total": 0.5}, 1)
    events.close()
    assert not (tmp_path / "events").exists()
