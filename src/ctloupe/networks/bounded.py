"""The hyperbolic tangent behind a last convolution."""

from __future__ import annotations

import torch
from torch import Tensor

from ctloupe.networks.only_computed import is_only_computed


def bounded(image: Tensor) -> Tensor:
    """Return ``tanh(image)``, of the same shape; to about 1e-7 where nobody differentiates it."""
    if image.dtype != torch.float32 or not is_only_computed(image):
        return torch.tanh(image)
    # PyTorch's logistic function takes a third of the time of its tangent.
    return (2 * image).sigmoid_().mul_(2).sub_(1)
