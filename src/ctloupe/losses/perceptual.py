"""Distance between VGG-19 features, from weights that the user brings; nothing is ever downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.inputs import require_plain_file

_LAYOUT: Final = (2, 2, 4, 4, 4)
"""Convolutions between the poolings of VGG-19 (Simonyan and Zisserman 2015)."""
_MEAN: Final = (0.485, 0.456, 0.406)
_DEVIATION: Final = (0.229, 0.224, 0.225)


def convolution_indices() -> list[int]:
    """Index N of ``features.N`` in torchvision's VGG-19 for each of the 16 convolutions; the last is conv5_4."""
    indices, at = [], 0
    for count in _LAYOUT:
        for _ in range(count):
            indices.append(at)
            at += 2
        at += 1
    return indices


class PerceptualLoss(nn.Module):
    """L1 distance between the features of conv5_4 before activation (ESRGAN, Sec. 3.3).

    Parameters
    ----------
    weights
        A ``.safetensors`` file with the keys of torchvision's VGG-19 (``features.0.weight`` …); ``classifier.*`` is
        ignored.

    Raises
    ------
    FileError
        If the file is missing, damaged, or lacks a layer.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Path) -> None:
        super().__init__()
        require_plain_file(weights)
        try:
            stored = load_file(weights)
        except (FileNotFoundError, SafetensorError, OSError) as error:
            raise FileError(
                f"perceptual weights {weights}: missing or not a .safetensors file ({error}); save a VGG-19 as "
                "safetensors, or leave perceptual_weights out"
            ) from error
        self.layers = nn.ModuleList()
        for index in convolution_indices():
            try:
                weight, bias = stored[f"features.{index}.weight"], stored[f"features.{index}.bias"]
            except KeyError as error:
                raise FileError(
                    f"perceptual weights {weights}: no {error.args[0]}; expected the keys of torchvision's VGG-19"
                ) from error
            layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            layer.load_state_dict({"weight": weight, "bias": bias})
            self.layers.append(layer)
        self.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(1, 3, 1, 1))

    def features(self, image: Tensor) -> Tensor:
        """Return the features of ``(n, 1, h, w)`` in [−1, 1], shown to the network as grey in ImageNet's scale."""
        values = ((image.expand(-1, 3, -1, -1) + 1) / 2 - self.mean) / self.deviation
        ends = set(torch.tensor(_LAYOUT).cumsum(0).tolist())
        for number, layer in enumerate(self.layers, start=1):
            values = layer(values)
            if number == len(self.layers):
                break
            values = F.relu(values)
            if number in ends:
                values = F.max_pool2d(values, 2)
        return values

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        """Mean absolute difference of the features of two images ``(n, 1, h, w)``, h and w ≥ 16."""
        return F.l1_loss(self.features(made), self.features(real))
