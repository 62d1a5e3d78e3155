"""The arithmetic of a step is what PyTorch's own counter, which works every operation out, says of the same step."""

from contextlib import nullcontext

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ctloupe import methods
from ctloupe.methods.base import Batch
from ctloupe.methods.cost import gflop, without_storage
from small_config import SMALL_BY_METHOD


class Backward:
    """Runs the passes of a step and changes nothing."""

    def __init__(self, method):
        self.trainables = method.trainables()

    def forward(self, trainable, *inputs):
        return self.trainables[trainable](*inputs)

    def autocast(self):
        return nullcontext()

    def update(self, trainable, loss):
        loss.backward()


@pytest.mark.parametrize("name", ["srgan", "synth-srgan"])
def test_a_step_costs_what_pytorch_counts(name):
    kind = methods.get(name)
    method = without_storage(kind, kind.configure("tiny", SMALL_BY_METHOD[name]))
    found = gflop(method)
    stage = method.stages[-1]
    side = method.config.patch_size
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        method.enter(stage)
        fine = side * method.config.scale
        method.step(Batch(torch.empty(1, 1, side, side), torch.empty(1, 1, fine, fine)), Backward(method))
    assert found["train_step"] == counter.get_total_flops() / 1e9 > 0
