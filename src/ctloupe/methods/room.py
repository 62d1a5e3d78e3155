"""Whether the networks of a configuration can be, and the memory holds their weights, before any is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ctloupe.foundation.memory import memory

Built = TypeVar("Built", bound=nn.Module)

_DRAWING: Final = ("normal_", "trunc_normal_", "uniform_")


class _WithoutInitialisation(TorchFunctionMode):
    """Leaves out drawing random weights: without storage there is nowhere to put them, and it takes seconds."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _DRAWING:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def built_without_storage(build: Callable[[], Built]) -> Built:
    """Return what `build` makes with tensors that have shapes but no values, which takes no memory and little time."""
    with torch.device("meta"), _WithoutInitialisation():
        return build()


def lack_of_room(build: Callable[[], nn.Module], copies: int = 1) -> str | None:
    """Say why the networks that `build` makes cannot be; None where they can.

    Parameters
    ----------
    build
        Makes the networks, and is called without storage.
    copies
        How often their weights are kept: in training their gradients and the averages of the optimiser count too.
    """
    try:
        made = built_without_storage(build)
    # Sizes beyond what numbers of 64 bits hold meet several places in PyTorch.
    except (RuntimeError, OverflowError, TypeError, ValueError, MemoryError):
        return "its sizes make a network that cannot be built"
    needed = copies * sum(one.numel() * one.element_size() for one in (*made.parameters(), *made.buffers()))
    there = memory().available
    if needed <= there:
        return None
    return f"its weights need {needed / 1e9:.1f} GB, and there are {there / 1e9:.1f} GB"
