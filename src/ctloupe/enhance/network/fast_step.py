"""A convolution whose outputs become sub-pixels, by whole runs of channels."""

from __future__ import annotations

import copy
from typing import Final

import torch
from torch import Tensor, nn

from ctloupe.enhance.network.fast_layers import FastConvolution
from ctloupe.networks.compiled import winograd

PAIR: Final = 2
"""Rows and columns of a grid that a pixel of the grid before becomes."""


class FastStep(nn.Module):
    """A convolution to sub-pixels, which the compiled one writes where they belong.

    Parameters
    ----------
    convolution
        Convolution whose outputs a pixel shuffle by two follows.
    slope, dtype
        See `FastConvolution`.
    """

    def __init__(self, convolution: nn.Conv2d, slope: float, dtype: torch.dtype) -> None:
        super().__init__()
        self.convolution = reordered(convolution, slope, dtype)

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to ``(n, c_out, 2h, 2w)``."""
        layer = self.convolution
        features = features.to(layer.weight.dtype)
        if layer.is_winograd(features):
            around = winograd.Padding.around(layer.padding, layer.reflects)
            return layer.by_winograd(features, around, shuffles=True)
        found = layer(features)
        count, channels, height, width = found.shape
        rows = found.new_empty(count, PAIR * height, PAIR * width, channels // PAIR**2)
        for one, into in zip(found, rows, strict=True):
            shuffle_onto(one[None], into)
        return rows.permute(0, 3, 1, 2)


def shuffle_onto(features: Tensor, rows: Tensor) -> None:
    """Lay the sub-pixels of `features` ``(1, 4·c, r, w)`` into `rows` ``(2r, 2w, c)``: whole runs of channels."""
    _, channels, height, width = features.shape
    runs = features[0].permute(1, 2, 0).reshape(height, width, PAIR, channels // PAIR)
    rows.view(height, PAIR, width, channels // PAIR).copy_(runs.transpose(1, 2))


def reordered(convolution: nn.Conv2d, slope: float, dtype: torch.dtype) -> FastConvolution:
    """The convolution and activation before a pixel shuffle by two, for `shuffle_onto`.

    Its outputs are reordered from PyTorch's ``(channel, sub-pixel)`` to ``(sub-pixel, channel)``, so that the two
    pixels that a row gets from one lie side by side.
    """
    made = copy.deepcopy(convolution).requires_grad_(False)
    for parameter in (made.weight, made.bias):
        if parameter is not None:
            parameter.data = parameter.data.unflatten(0, (-1, PAIR**2)).transpose(0, 1).flatten(0, 1).contiguous()
    return FastConvolution(made, slope, dtype, run=made.out_channels // PAIR**2)
