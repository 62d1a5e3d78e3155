"""Lets a network compute in the quicker ways of this room; its weights and their names stay what they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import increment_version
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from ctloupe.networks.blocks import Activation
from ctloupe.networks.training import columns, strided, winograd
from ctloupe.networks.training.instance_norm import normalised
from ctloupe.networks.training.prelu import activated

_LARGE: Final = 2**20
"""Numbers of an image's features from which on weight gradients by columns are quicker than those of PyTorch."""


class _ByColumns(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        if not _suits(input):
            return super().forward(input)
        if not _is_large(input, self.out_channels / self.stride[0] ** 2):
            # PyTorch's answer to an image of one channel is stored otherwise, and so would all be that it is added to.
            return super().forward(input).contiguous(memory_format=torch.channels_last)
        rim = int(self.padding[0])
        if self.padding_mode == "reflect":
            input, rim = F.pad(input, (rim,) * 4, mode="reflect"), 0
        return columns.convolved(input, self.weight, self.bias, self.stride[0], rim)


class _Transformed(_ByColumns):
    _transformed: tuple[tuple[int, int], winograd.Kernels] | None = None

    def _kernels(self, make: Callable[[Tensor], winograd.Kernels]) -> winograd.Kernels:
        """The transformed weights, which are made once a step: the weights tell when they have changed."""
        state = self.weight._version, self.weight.data_ptr()
        if self._transformed is None or self._transformed[0] != state:
            self._transformed = state, make(self.weight)
        return self._transformed[1]


class _Winograd(_Transformed):
    def forward(self, input: Tensor) -> Tensor:
        if not _suits(input) or winograd.tiles(input, self.kernel_size[0]) < winograd.FEWEST_TILES:
            return super().forward(input)
        rim, reflects = int(self.padding[0]), self.padding_mode == "reflect"
        kernels = self._kernels(winograd.Kernels.of)
        return winograd.convolved(input, self.weight, self.bias, rim, reflects, kernels)


class _Strided(_Transformed):
    def forward(self, input: Tensor) -> Tensor:
        if not _suits(input) or strided.tiles(input) < strided.FEWEST_TILES:
            return super().forward(input)
        kernels = self._kernels(strided.transformed)
        return strided.convolved(input, self.weight, self.bias, int(self.padding[0]), kernels)


class _TransposedByColumns(nn.ConvTranspose2d):
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        large = _is_large(input, self.out_channels * self.stride[0] ** 2)
        if output_size is not None or not _suits(input) or not large:
            return super().forward(input, output_size)
        more = int(self.output_padding[0])
        return columns.transposed(input, self.weight, self.bias, self.stride[0], int(self.padding[0]), more)


class _Norm(nn.InstanceNorm2d):
    slope: float | None = None

    def forward(self, input: Tensor) -> Tensor:
        # PyTorch refuses images of one pixel, which have no variance.
        if not _suits(input) or input.shape[-1] * input.shape[-2] == 1:
            made = super().forward(input)
            return made if self.slope is None else F.leaky_relu(made, self.slope)
        return normalised(input, self.eps, self.slope)


class _PReLU(Activation):
    def forward(self, features: Tensor) -> Tensor:
        return activated(features, self.weight) if _suits(features) else super().forward(features)


class _AlreadyDone(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return features


class _DoneReLU(_AlreadyDone, nn.ReLU):
    pass


class _DoneLeakyReLU(_AlreadyDone, nn.LeakyReLU):
    pass


def quicken(network: nn.Module) -> None:
    """Let the layers of a network compute in quicker ways where they are given float32 features on a CPU.

    What they compute stays the same but for rounding. Layers keep their classes as bases, and their parameters.
    """
    _watch_optimisers()
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for layer, following in pairwise(module):
                _join(layer, following)
    for module in network.modules():
        if type(module) is nn.InstanceNorm2d and not module.affine and not module.track_running_stats:
            module.__class__ = _Norm
        elif type(module) is nn.Conv2d and _is_plain(module):
            module.__class__ = _kind_of(module)
        elif type(module) in (nn.PReLU, Activation) and module.num_parameters == 1:
            module.__class__ = _PReLU
        elif type(module) is nn.ConvTranspose2d and _is_plain(module):
            module.__class__ = _TransposedByColumns


@cache
def _watch_optimisers() -> None:
    """Let weights tell of the steps of fused optimisers too, which PyTorch leaves out; it is done once for all."""

    def tell(optimiser: Optimizer, *_: Any) -> None:
        for group in optimiser.param_groups:
            if group.get("fused"):
                for weight in group["params"]:
                    increment_version(weight)

    register_optimizer_step_post_hook(tell)


def _join(layer: nn.Module, following: nn.Module) -> None:
    """Let an instance norm apply the activation that follows it."""
    if type(layer) is not nn.InstanceNorm2d or layer.affine or layer.track_running_stats:
        return
    if type(following) is nn.ReLU:
        slope = 0.0
        following.__class__ = _DoneReLU
    elif type(following) is nn.LeakyReLU and following.negative_slope > 0:
        slope = following.negative_slope
        following.__class__ = _DoneLeakyReLU
    else:
        return
    layer.__class__ = _Norm
    assert isinstance(layer, _Norm)
    layer.slope = slope


def _is_plain(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether both directions are alike, and nothing is grouped or dilated."""
    alike = all(len(set(sizes)) == 1 for sizes in (layer.kernel_size, layer.stride, layer.padding))
    return alike and layer.groups == 1 and set(layer.dilation) == {1} and layer.padding_mode in ("zeros", "reflect")


def _kind_of(layer: nn.Conv2d) -> type[nn.Conv2d]:
    stride, padding = layer.stride[0], int(layer.padding[0])
    if stride == 1 and padding < layer.kernel_size[0] and winograd.suits(layer.weight):
        return _Winograd
    if stride == 2 and layer.padding_mode == "zeros" and strided.suits(layer.weight, padding):
        return _Strided
    return _ByColumns


def _is_large(features: Tensor, beyond: float) -> bool:
    """Whether features, or so many channels of their size, are large."""
    return max(features.shape[1], beyond) * features[0, 0].numel() >= _LARGE


def _suits(features: Tensor) -> bool:
    """Whether features are float32 on a CPU, and stay so."""
    plain = features.device.type == "cpu" and features.dtype is torch.float32 and features.ndim == 4
    return plain and not torch.is_autocast_enabled("cpu")
