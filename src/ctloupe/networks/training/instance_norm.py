"""Instance normalisation and the activation behind it on channels-last images: compiled, or image by image."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ctloupe.networks.compiled.normalisation import Statistics, normalise, suits
from ctloupe.networks.compiled.normalisation import gradient as gradient_of_normalised
from ctloupe.networks.training.plain_gradients import plain_gradients

_aten = torch.ops.aten


def _directly(features: Tensor, epsilon: float, slope: float | None) -> Tensor:
    made = F.instance_norm(features, eps=epsilon)
    return made if slope is None else F.leaky_relu(made, slope)


def _twice(features: Tensor, gradient: Tensor, epsilon: float, slope: float | None) -> tuple[Tensor | None, ...]:
    plainly = partial(_directly, epsilon=epsilon, slope=slope)
    return *plain_gradients(plainly, (features,), gradient, (True,)), None, None


class _NormActivation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, epsilon: float, slope: float | None) -> Tensor:
        made, found = normalise(features, epsilon, 1.0 if slope is None else slope)
        ctx.save_for_backward(features, found.mean, found.inverse)
        ctx.epsilon, ctx.slope = epsilon, slope
        return made

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, mean, inverse = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _twice(features, gradient, ctx.epsilon, ctx.slope)
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        slope = 1.0 if ctx.slope is None else ctx.slope
        return gradient_of_normalised(gradient, features, Statistics(mean, inverse), slope), None, None


class _ImageByImage(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, epsilon: float, slope: float | None) -> Tensor:
        made, statistics = torch.empty_like(features), []
        for before, after in zip(features.split(1), made.split(1), strict=True):
            # Batch normalisation of a single image is instance normalisation, and is quick where channels come last.
            normal, *found = torch.native_batch_norm(before, None, None, None, None, True, 0.0, epsilon)
            statistics.append(torch.stack(found))
            if slope is None:
                after.copy_(normal)
            elif slope == 0:
                torch.clamp_min(normal, 0, out=after)
            else:
                _aten.leaky_relu.out(normal, slope, out=after)
        ctx.save_for_backward(features, torch.stack(statistics), *([] if slope is None else [made]))
        ctx.epsilon, ctx.slope = epsilon, slope
        return made

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, statistics, *rest = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _twice(features, gradient, ctx.epsilon, ctx.slope)
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        made = torch.empty_like(features)
        for index, (mean, inverse) in enumerate(statistics):
            here = slice(index, index + 1)
            of_normal = gradient[here]
            if ctx.slope == 0:
                of_normal = _aten.threshold_backward(of_normal, rest[0][here], 0)
            elif ctx.slope is not None:
                of_normal = _aten.leaky_relu_backward(of_normal, rest[0][here], ctx.slope, True)
            made[here] = _aten.native_batch_norm_backward(
                of_normal, features[here], None, None, None, mean, inverse, True, ctx.epsilon, [True, False, False]
            )[0]
        return made, None, None


def normalised(features: Tensor, epsilon: float, slope: float | None = None) -> Tensor:
    """Instance-normalise float32 features, and apply a (leaky) ReLU.

    Parameters
    ----------
    features : (n, c, h, w)
        Features of more than one pixel; channels-last is quickest.
    epsilon
        What is added to the variance.
    slope
        Slope of the activation where its input is negative: 0 is a ReLU; None: there is none.

    Returns
    -------
    Tensor of shape (n, c, h, w)
        It is channels-last.
    """
    features = features.contiguous(memory_format=torch.channels_last)
    kind = _NormActivation if suits(features) else _ImageByImage
    made: Tensor = kind.apply(features, epsilon, slope)
    return made
