"""A folded network rewritten for fast inference: the same function, its layers replaced by `fast_layers`."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Final

import torch
from torch import nn

from ctloupe.enhance.network.fast_layers import Converted, FastConvolution, FastFirst, FastResidual, slope_of
from ctloupe.enhance.network.fast_shuffle import FastShuffle
from ctloupe.enhance.network.fast_step import PAIR, FastStep
from ctloupe.enhance.network.fine_part import FineStrips
from ctloupe.enhance.network.fused import NO_ACTIVATION
from ctloupe.networks.blocks import ResidualBlock, SubPixelStep
from ctloupe.networks.plain import PlainBlock
from ctloupe.networks.srresnet import BatchNormBlock
from ctloupe.networks.sub_pixel_shell import SubPixelShell

_OF_AN_IMAGE: Final = (1, 3)
"""Channels of an image, alone or with its neighbouring slices."""


def rewritten(network: nn.Module, dtype: torch.dtype = torch.bfloat16) -> nn.Module:
    """Return a copy of a folded `network` that computes the same, faster.

    Parameters
    ----------
    network
        Network in evaluation mode with its normalisation folded; it is left unchanged.
    dtype
        Type of all features. Layers from and to an image do not round to it, since what they would round is the image
        itself, and near −1 half precision is several HU coarse.
    """
    return _rewrite(copy.deepcopy(network).requires_grad_(False), dtype)


def _rewrite(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    block = _residual(module, dtype)
    if block is not None:
        return block
    if _is_plain(module):
        assert isinstance(module, nn.Conv2d)
        return _convolution(module, NO_ACTIVATION, dtype)
    if isinstance(module, nn.PixelShuffle):
        return FastShuffle(module.upscale_factor)
    if isinstance(module, nn.Sequential):
        return _sequence(list(module), dtype)
    merged = _merge_tail(module, dtype)
    for name, child in module.named_children():
        if name not in merged:
            setattr(module, name, _rewrite(child, dtype))
    if isinstance(module, SubPixelShell) and module.neck is not None:
        # Here nothing but the trunk reads what the head made; networks with a long skip read it again.
        first = next(module.trunk.children(), None)
        if isinstance(first, FastResidual):
            first.in_place = True
    return Converted(module, dtype) if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) else module


def _merge_tail(module: nn.Module, dtype: torch.dtype) -> set[str]:
    """Rewrite the sub-pixel steps of a shell and its convolution to one channel as one."""
    if not isinstance(module, SubPixelShell):
        return set()
    steps = [step for step in module.tail if isinstance(step, SubPixelStep)]
    if len(steps) < len(module.tail) or not _mergeable([*steps, module.last]):
        return set()
    assert isinstance(module.last, nn.Conv2d)
    module.tail, module.last = nn.Sequential(), FineStrips(steps, module.last, dtype)
    return {"tail", "last"}


def _sequence(layers: list[nn.Module], dtype: torch.dtype) -> nn.Sequential:
    """Rewrite the layers of a sequence, taking activations and shuffles into the convolutions next to them.

    What was taken over leaves an identity in its place, since networks cut their sequences by number.
    """
    out: list[nn.Module] = [nn.Identity() for _ in layers]
    places = [place for place, layer in enumerate(layers) if not isinstance(layer, nn.Identity)]
    while places:
        taken = 1
        layer, following = layers[places[0]], layers[places[1]] if len(places) > 1 else None
        fine = _fine_part([layers[place] for place in places])
        if fine:
            steps, last = [one for one in fine if isinstance(one, SubPixelStep)], fine[-1]
            assert isinstance(last, nn.Conv2d)
            out[places[0]], taken = FineStrips(steps, last, dtype), len(fine)
        elif _is_plain(layer):
            assert isinstance(layer, nn.Conv2d)
            out[places[0]], taken = _with_following(layer, following, dtype)
        else:
            out[places[0]] = _rewrite(layer, dtype)
        places = places[taken:]
    for before, behind in pairwise(out):
        if isinstance(before, FastResidual) and isinstance(behind, FastResidual):
            behind.in_place = True
    return nn.Sequential(*out)


def _residual(module: nn.Module, dtype: torch.dtype) -> nn.Module | None:
    """Fast form of a residual block without dropout."""
    if not isinstance(module, ResidualBlock | PlainBlock | BatchNormBlock):
        return None
    layers = [layer for layer in module.body if not isinstance(layer, nn.Identity)]
    if len(layers) != 3 or not (_is_plain(layers[0]) and _is_plain(layers[2])):
        return None
    slope = slope_of(layers[1])
    if slope is None:
        return None
    first, _, second = layers
    assert isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d)
    scaling = module.scaling if isinstance(module, PlainBlock) else 1.0
    return FastResidual(FastConvolution(first, slope, dtype), FastConvolution(second, NO_ACTIVATION, dtype), scaling)


def _is_plain(layer: nn.Module) -> bool:
    """Whether `layer` is a convolution of the kind that `FastConvolution` takes."""
    if not isinstance(layer, nn.Conv2d):
        return False
    size = layer.kernel_size[0]
    keeps = layer.stride == (1, 1) and layer.dilation == (1, 1) and layer.groups == 1
    square = layer.kernel_size == (size, size) and size % 2 == 1 and layer.padding == (size // 2, size // 2)
    return keeps and square and layer.padding_mode in ("zeros", "reflect")


def _steps_out(step: SubPixelStep) -> bool:
    plain = isinstance(step.norm, nn.Identity) and slope_of(step.activation) is not None
    return plain and _is_plain(step.convolution) and step.convolution.padding_mode == "zeros"


def _fine_part(layers: list[nn.Module]) -> list[nn.Module]:
    """The sub-pixel steps that `layers` begin with and the convolution behind them, where they can be one."""
    count = next((at for at, layer in enumerate(layers) if not isinstance(layer, SubPixelStep)), len(layers))
    part = layers[: count + 1]
    return part if _mergeable(part) else []


def _mergeable(layers: list[nn.Module]) -> bool:
    """Whether `layers` are sub-pixel steps, at least one, and a convolution to one channel."""
    *steps, last = layers
    return (
        bool(steps)
        and all(isinstance(step, SubPixelStep) and _steps_out(step) for step in steps)
        and isinstance(last, nn.Conv2d)
        and _is_plain(last)
        and last.out_channels == 1
    )


def _with_following(layer: nn.Conv2d, following: nn.Module | None, dtype: torch.dtype) -> tuple[nn.Module, int]:
    """Rewrite a convolution with the activation or shuffle behind it, and say how many layers that are."""
    if isinstance(following, nn.PixelShuffle) and following.upscale_factor == PAIR:
        return FastStep(layer, NO_ACTIVATION, dtype), 2
    slope = slope_of(following) if following is not None else None
    return _convolution(layer, NO_ACTIVATION if slope is None else slope, dtype), 1 if slope is None else 2


def _convolution(layer: nn.Conv2d, slope: float, dtype: torch.dtype) -> nn.Module:
    if layer.out_channels == 1:
        return FastConvolution(layer, slope, torch.float32)
    if layer.in_channels in _OF_AN_IMAGE and dtype != torch.float32:
        return FastFirst(layer, slope, dtype)
    return FastConvolution(layer, slope, dtype)
