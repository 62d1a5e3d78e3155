"""The posterior mean of a flow for one scanner, as a network of convolutions alone."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.blocks import full_precision
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.networks.flow.network import ConditionedBlock
from ctloupe.networks.neighbours import slice_alone, with_neighbours
from ctloupe.networks.plain import PlainBlock
from ctloupe.networks.split import SplitNetwork


class MeanNetwork(SplitNetwork):
    """What a `FlowEnhancer` computes, with time 0 and its scanner folded into the weights.

    Gain and offset of a block follow a convolution, so that they are part of it as soon as they are constant.

    Parameters
    ----------
    enhancer
        The flow, with the scanner that it is to undo.
    deviation
        Whether log σ of the mean's errors is a second channel of the output; the flow must have a head for it.
    """

    @torch.no_grad()
    def __init__(self, enhancer: FlowEnhancer, deviation: bool = False) -> None:
        super().__init__()
        flow = enhancer.flow
        condition = flow.condition(enhancer.scanner.new_zeros(1), enhancer.told()[None])
        self.scale, self.neighbours = flow.scale, flow.neighbours
        self.head, up, self.exit = (copy.deepcopy(layer) for layer in (flow.head, flow.up, flow.exit))
        self.up = nn.Sequential(up, nn.PixelShuffle(2))
        self.painting = nn.PixelShuffle(flow.step)
        self.trunk = nn.Sequential(*(_folded(block, condition) for block in flow.trunk))
        self.deviation = copy.deepcopy(enhancer.head) if deviation else None
        self.leaving = nn.Sequential(*(_folded(block, condition) for block in flow.leaving))

    def coarse_features(self, image: Tensor) -> Tensor:
        """Return the features ``(n, width, h, w)`` behind the trunk."""
        found: Tensor = self.trunk(self.head(with_neighbours(image, self.neighbours)))
        return found

    def render(self, features: Tensor, image: Tensor) -> Tensor:
        """Return the posterior mean ``(n, 1, s·h, s·w)`` in [−1, 1], and log σ as a second channel where asked for."""
        fine = self.leaving(self.up(features))
        detail = full_precision(self.painting(self.exit(fine)))
        mean = (enlarge_bicubic(slice_alone(image), self.scale) + detail).clamp(-1, 1)
        return mean if self.deviation is None else torch.cat([mean, self.deviation(fine)], 1)


def _folded(block: nn.Module, condition: Tensor) -> PlainBlock:
    """A block whose gain and offset are part of its first convolution."""
    assert isinstance(block, ConditionedBlock)
    gain, offset = block.affine(condition)[0].chunk(2)
    made = PlainBlock(block.first.in_channels, 1.0)
    first, activation, second = copy.deepcopy(block.first), copy.deepcopy(block.activation), copy.deepcopy(block.second)
    assert first.bias is not None
    weight, bias = first.weight * (1 + gain).view(-1, 1, 1, 1), first.bias * (1 + gain) + offset
    first.weight, first.bias = _constant(weight), _constant(bias)
    made.body = nn.Sequential(first, activation, second)
    return made


def _constant(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().clone(), requires_grad=False)
