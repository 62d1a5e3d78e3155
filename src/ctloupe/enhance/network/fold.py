"""Fixed normalisation becomes part of the convolution before it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from ctloupe.enhance.network.calibrate import FixedNorm
from ctloupe.networks.blocks import SubPixelStep

Convolution = nn.Conv2d | nn.ConvTranspose2d


@torch.no_grad()
def folded(network: nn.Module) -> nn.Module:
    """Return a copy of `network` in which each `FixedNorm` and batch norm behind a convolution is folded into it.

    ``g·(W∗x + b − μ) = (g·W)∗x + g·(b − μ)`` per feature map, with g = 1/√(σ² + ε). Padding acts on x, so the border
    is the same too.

    Parameters
    ----------
    network
        Calibrated network in evaluation mode; it is left unchanged.
    """
    network = copy.deepcopy(network)
    for parent, first, second in _pairs(network):
        convolution, norm = getattr(parent, first), getattr(parent, second)
        gain, shift = _affine(norm)
        _fold(convolution, gain, shift)
        setattr(parent, second, nn.Identity())
    return network


def _pairs(network: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    """Parent, and the names in it, of a convolution whose output goes to a fixed normalisation and nowhere else."""
    for module in network.modules():
        names: list[tuple[str, str]] = []
        if isinstance(module, nn.Sequential):
            names = list(pairwise(name for name, _ in module.named_children()))
        elif isinstance(module, SubPixelStep):
            names = [("convolution", "norm")]
        for first, second in names:
            if isinstance(getattr(module, first), Convolution) and _fixed(getattr(module, second)):
                yield module, first, second


def _fixed(layer: nn.Module) -> bool:
    running = isinstance(layer, nn.BatchNorm2d) and layer.track_running_stats and not layer.training
    return running or isinstance(layer, FixedNorm)


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Gain and shift of ``y = gain·x + shift``."""
    if isinstance(norm, FixedNorm):
        gain = torch.rsqrt(norm.variance.flatten() + norm.eps)
        return gain, -norm.mean.flatten() * gain
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
    gain = torch.rsqrt(norm.running_var + norm.eps)
    if norm.affine:
        gain = gain * norm.weight
    shift = -norm.running_mean * gain
    return gain, shift + norm.bias if norm.affine else shift


def _fold(convolution: Convolution, gain: Tensor, shift: Tensor) -> None:
    weight = convolution.weight
    out_first = isinstance(convolution, nn.Conv2d)
    weight.mul_(gain.view(-1, 1, 1, 1) if out_first else gain.view(1, -1, 1, 1))
    if convolution.bias is None:
        convolution.bias = nn.Parameter(shift.to(weight.dtype), requires_grad=False)
    else:
        convolution.bias.mul_(gain).add_(shift)
