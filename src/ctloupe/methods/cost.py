"""Parameters and arithmetic of a method, counted on tensors without storage."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import flop_registry

from ctloupe.methods.base import Batch, Method, MethodConfig
from ctloupe.methods.room import built_without_storage


class _CountingBackend:
    """Runs a step's forward and backward passes; there is nothing to optimise on the meta device."""

    def __init__(self, method: Method) -> None:
        self._trainables = method.trainables()

    def forward(self, trainable: str, *inputs: Tensor | None) -> Any:
        return self._trainables[trainable](*inputs)

    def autocast(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def update(self, trainable: str, loss: Tensor) -> None:
        loss.backward()


class _Counter(TorchDispatchMode):
    """Adds up the operations by PyTorch's own formulas, without its `FlopCounterMode`'s account of every module.

    That account takes a quarter of the time, and autograd has taken composite operations apart before. Most of the rest
    is PyTorch's working out of shapes, so what an operation makes of tensors of the same kind is remembered: the blocks
    of a network are alike.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self._known: dict[Hashable | None, tuple[Any, int]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        key = (func, _kind(args), _kind(tuple(kwargs.items()))) if _makes_new_tensors(func._schema) else None
        if key in self._known:
            found, operations = self._known[key]
            found = tree_map_only(Tensor, _another, found)
        else:
            found = func(*args, **kwargs)
            formula = flop_registry.get(func._overloadpacket)
            operations = formula(*args, **kwargs, out_val=found) if formula else 0
            if key and all(one.is_meta for one in tree_leaves(found) if isinstance(one, Tensor)):
                self._known[key] = tree_map_only(Tensor, _another, found), operations
        self.operations += operations
        return found


def _makes_new_tensors(schema: torch.FunctionSchema) -> bool:
    """Whether an operation changes none of its arguments and returns no view of one."""
    return not schema.is_mutable and all(one.alias_info is None for one in schema.returns)


def _kind(value: Any) -> Hashable:
    """Return what the shapes that an operation makes can depend on: all of a value but the numbers of tensors."""
    if isinstance(value, Tensor):
        return (value.shape, value.stride(), value.dtype, value.device)
    if isinstance(value, (tuple, list)):
        return tuple(_kind(one) for one in value)
    # One, one point nought, and true are the same key otherwise.
    return (type(value), value)


def _another(tensor: Tensor) -> Tensor:
    """Return another tensor of the same kind."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)


def without_storage(kind: type[Method], config: MethodConfig) -> Method:
    """Build a method whose tensors have shapes but no values, which takes no memory, and little time."""
    return built_without_storage(lambda: kind(config))


def parameters(method: Method) -> dict[str, int]:
    """Return the number of trainable parameters of each network, and their ``total``."""
    counts = {
        name: sum(parameter.numel() for parameter in network.parameters())
        for name, network in method.networks().items()
    }
    return counts | {"total": sum(counts.values())}


def gflop(method: Method) -> dict[str, float]:
    """Count floating-point operations of convolutions and matrix products (a multiply-add is two).

    Parameters
    ----------
    method
        As `without_storage` builds it.

    Returns
    -------
    dict
        ``enhance``: the enhancer on one clinical patch; ``train_step``: a whole training step for one patch of
        each modality, backward passes included (0 for a method without training). A method of several stages has
        ``train_step`` of its last one and a ``train_step_NAME`` for each.
    """
    config = method.config
    with torch.device("meta"):
        low = torch.empty(1, 1, config.patch_size, config.patch_size)
        high = torch.empty(1, 1, config.patch_size * config.scale, config.patch_size * config.scale)
    with _Counter() as forward, torch.no_grad():
        method.enhancer()(low)
    found = {"enhance": forward.operations / 1e9, "train_step": 0.0}
    for stage in method.stages if method.trainable else ():
        method.enter(stage)
        with _Counter() as counter, torch.device("meta"):
            method.step(Batch(low, high), _CountingBackend(method))
        found["train_step"] = counter.operations / 1e9
        if len(method.stages) > 1:
            found[f"train_step_{stage}"] = found["train_step"]
    return found
