"""deepinv: least squares with the estimated scanner and total variation, whose weight is found on pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from ctloupe.networks.bicubic import enlarge_bicubic
from peer.budget import Budget
from peer.inverse import deepinv, scanner_physics
from peer.pairs import Pairs
from peer.volumes import Enhance

PACKAGES = ("deepinv",)
WEIGHTS = (3e-3, 1e-3, 1e-2, 3e-4, 3e-2, 1e-4, 1e-1)
"""Weights of the total variation, in the order in which they are tried: from the middle outwards."""
ROUNDS, INNER = 25, 5
"""Steps of FISTA, and of the total-variation denoiser in each, which goes on from where it was."""


def fit(pairs: Pairs, budget: Budget, seed: int) -> Enhance:
    """Return the solver with the weight of the smallest squared error on eight pairs."""
    torch.manual_seed(seed)
    low, high = pairs.draw(8)
    errors: dict[float, float] = {}
    for weight in WEIGHTS:
        if not budget.step():
            break
        errors[weight] = float((_solved(pairs, low, weight) - high).square().mean())
    best = min(errors, key=errors.__getitem__)
    return lambda scan: _solved(pairs, scan, best)


@torch.no_grad()
def _solved(pairs: Pairs, scan: Tensor, weight: float) -> Tensor:
    solver = deepinv.optim.FISTA(
        data_fidelity=deepinv.optim.data_fidelity.L2(),
        prior=deepinv.optim.prior.TVPrior(n_it_max=INNER),
        lambda_reg=weight,
        # A mean over s × s pixels has the norm 1/s.
        stepsize=0.95 * pairs.scale**2,
        max_iter=ROUNDS,
        custom_init=lambda y, physics: (enlarge_bicubic(y, pairs.scale),) * 2,
    )
    return solver(scan, scanner_physics(pairs))
