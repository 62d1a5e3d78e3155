"""Gradients by PyTorch's own operations, for where they are to be differentiated themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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


def wanted(ctx: Any, *inputs: Tensor | None) -> list[bool]:
    """Return of which inputs of a function the gradients are asked for in the backward pass that goes on.

    ``ctx.needs_input_grad`` tells those that might be asked for: a gradient by images alone leaves the weights out.

    Parameters
    ----------
    ctx
        Context of the function.
    inputs
        Its first inputs, of which all that are tensors; behind them it has no tensors.
    """
    nodes = iter(ctx.next_functions)
    found = []
    for needs, one in zip(ctx.needs_input_grad, inputs, strict=False):
        node = None if one is None else next(nodes)[0]
        found.append(needs and (node is None or _goes_on(node)))
    return found


def _goes_on(node: Any) -> bool:
    """Whether the backward pass goes on to a node of its graph."""
    # PyTorch's own functions ask the same of their C++ side.
    will = getattr(torch._C, "_will_engine_execute_node", None)
    try:
        return will is None or will(node)
    except RuntimeError:
        # It is a tensor itself whose gradient is asked for.
        return True
