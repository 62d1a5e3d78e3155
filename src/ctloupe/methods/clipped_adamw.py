"""AdamW that limits the norm of the gradient before each step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn


class ClippedAdamW(torch.optim.AdamW):
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) behind a limit of the norm of all gradients together.

    Parameters
    ----------
    parameters
        What is trained.
    limit
        Largest norm.
    options
        Those of `torch.optim.AdamW`.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]], limit: float, **options: Any
    ) -> None:
        super().__init__(parameters, **options)
        self.limit = limit

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Limit the gradients, then take a step."""
        self.limited()
        return super().step(closure)

    def limited(self) -> None:
        """Limit the gradients."""
        nn.utils.clip_grad_norm_([one for group in self.param_groups for one in group["params"]], self.limit)
