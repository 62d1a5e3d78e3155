"""A moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


def as_average(network: nn.Module) -> nn.Module:
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
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(theirs[name].to(value.dtype), (1 - past).to(value.dtype))
        else:
            value.copy_(theirs[name])
