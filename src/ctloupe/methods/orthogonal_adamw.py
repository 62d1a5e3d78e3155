"""AdamW for most weights, and steps without preferred directions for the convolutions between features."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn

from ctloupe.methods.clipped_adamw import ClippedAdamW

_COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
"""Coefficients of the polynomial that brings singular values to about 1 (Jordan 2024)."""

_ITERATIONS: Final = 5
_MOMENTUM: Final = 0.95
_LIKE_ADAMW: Final = 0.2
"""Root mean square of a step of AdamW in units of the learning rate (Liu et al. 2025, section 2.2)."""


class OrthogonalAdamW(ClippedAdamW):
    """Muon (Jordan 2024, https://kellerjordan.github.io/posts/muon) for `hidden`, AdamW for the other weights.

    The step of a convolution is the average of its gradients with all singular values brought to about 1, so that rare
    directions are learnt as fast as those that dominate; its size is that of a step of AdamW (Liu et al. 2025,
    arXiv:2502.16982, Eq. 4).

    Parameters
    ----------
    parameters
        What is trained.
    hidden
        Those of them that are convolutions between features, ``(out, in, k, k)``.
    limit
        Largest norm of all gradients together.
    rate
        Learning rate of `hidden` as a multiple of that of the others.
    options
        Those of `torch.optim.AdamW`.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        hidden: Iterable[nn.Parameter],
        limit: float,
        rate: float,
        **options: Any,
    ) -> None:
        inner = list(hidden)
        names = {id(one) for one in inner}
        others = [one for one in parameters if id(one) not in names]
        groups: list[dict[str, Any]] = [
            {"params": others, "orthogonal": False},
            {"params": inner, "orthogonal": True, "lr": rate * options["lr"]},
        ]
        super().__init__(groups, limit, **options)

    def limited(self) -> None:
        """Limit the gradients, and take the steps of `hidden`, whose gradients AdamW then does not see."""
        super().limited()
        for group in self.param_groups:
            if group["orthogonal"]:
                self._step_orthogonally([one for one in group["params"] if one.grad is not None], group["lr"])

    @torch.no_grad()
    def _step_orthogonally(self, weights: list[nn.Parameter], rate: float) -> None:
        alike: dict[torch.Size, list[nn.Parameter]] = {}
        for one in weights:
            alike.setdefault(one.shape, []).append(one)
        for shape, group in alike.items():
            # Weights of one shape are brought into form together.
            updates = orthogonalised(torch.stack([self._averaged(one).reshape(shape[0], -1) for one in group]))
            size = rate * _LIKE_ADAMW * max(updates.shape[-2:]) ** 0.5
            for one, update in zip(group, updates, strict=True):
                one.sub_(update.view(shape), alpha=size)
                one.grad = None

    def _averaged(self, weight: nn.Parameter) -> Tensor:
        """The gradient, averaged over steps and looked ahead (Nesterov)."""
        gradient = weight.grad
        assert gradient is not None
        state = self.state[weight]
        if "average" not in state:
            # AdamW looks for a count of steps wherever there is a state.
            state |= {"step": torch.zeros(()), "average": torch.zeros_like(weight)}
        state["step"] += 1
        average: Tensor = state["average"].lerp_(gradient, 1 - _MOMENTUM)
        return torch.lerp(gradient, average, _MOMENTUM)


def orthogonalised(matrices: Tensor) -> Tensor:
    """Bring the singular values of matrices ``(n, rows, columns)`` to between about 0.7 and 1.2, in float32."""
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    found = matrices.float()
    found = found.mT if tall else found
    found = found / found.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-12)
    for _ in range(_ITERATIONS):
        squared = found @ found.mT
        factor = torch.baddbmm(squared, squared, squared, beta=b, alpha=c)
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        found = factor @ found
    return (found.mT if tall else found).to(matrices.dtype)
