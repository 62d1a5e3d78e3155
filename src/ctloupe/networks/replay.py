"""What comes before the first dropout layer is computed once, however often the rest is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from ctloupe.networks.dropout import MonteCarloDropout


class _Tape:
    """Results of the layers up to the first dropout, in the order in which they were called."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.recorded = False
        self.at: int | None = 0

    def begin(self) -> None:
        self.at = 0

    def call(self, layer: nn.Module, compute: Callable[..., Any], *inputs: Tensor, **options: Any) -> Any:
        if isinstance(layer, MonteCarloDropout):
            self.at, self.recorded = None, True
        if self.at is None:
            return compute(*inputs, **options)
        if not self.recorded:
            self.results.append(compute(*inputs, **options))
        self.at += 1
        return self.results[self.at - 1]


@contextmanager
def replayed(network: nn.Module) -> Iterator[Callable[..., Any]]:
    """Yield `network` as a function to be called several times with the same input.

    From the second call on, layers that ran before the first dropout layer give what they gave in the first. The
    network must not write into the results of its layers.
    """
    tape = _Tape()
    layers = [layer for layer in network.modules() if not any(True for _ in layer.children())]
    for layer in layers:
        layer.forward = partial(tape.call, layer, layer.forward)

    def call(*inputs: Any) -> Any:
        tape.begin()
        return network(*inputs)

    try:
        yield call
    finally:
        for layer in layers:
            del layer.forward
