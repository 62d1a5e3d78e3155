"""A moving average of a network's weights."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def as_average(network: Network) -> Network:
    """Return a copy whose parameters are buffers: it is kept and saved like any module, and nothing trains it."""
    made = copy.deepcopy(network)
    for module in made.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach().clone())
    return made.eval()


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, steps: Tensor, decay: float) -> None:
    """Move `average` towards `network` after so many steps of training.

    The weight of the past is ``min(decay, (1 + steps) / (10 + steps))``, so that a short training is not held back by
    where it started.
    """
    past = ((1 + steps) / (10 + steps)).clamp_max(decay)
    theirs = network.state_dict()
    pairs = [(value, theirs[name]) for name, value in average.state_dict().items()]
    floating = [(mine, other) for mine, other in pairs if mine.is_floating_point()]
    torch._foreach_mul_([mine for mine, _ in floating], past)
    torch._foreach_add_([mine for mine, _ in floating], torch._foreach_mul([other for _, other in floating], 1 - past))
    for mine, other in pairs:
        if not mine.is_floating_point():
            mine.copy_(other)
