"""Gradients by PyTorch's own operations, for where they are to be differentiated themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def plain_gradients(
    compute: Callable[..., Tensor], inputs: Sequence[Tensor | None], gradient: Tensor, wanted: Sequence[bool]
) -> list[Tensor | None]:
    """Return the gradients of those inputs that are wanted, as functions of inputs and gradient.

    Parameters
    ----------
    compute
        Computes the output again by operations that can be differentiated twice.
    inputs
        What it is given, as it was saved for the backward pass.
    gradient
        Gradient of the output.
    wanted
        Whether the gradient of each input is asked for.
    """
    asked = [one for one, is_wanted in zip(inputs, wanted, strict=True) if is_wanted and one is not None]
    with torch.enable_grad():
        found = iter(torch.autograd.grad(compute(*inputs), asked, gradient, create_graph=True))
    return [
        next(found) if is_wanted and one is not None else None for one, is_wanted in zip(inputs, wanted, strict=True)
    ]
