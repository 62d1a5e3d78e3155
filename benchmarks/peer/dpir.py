"""deepinv: DPIR, plug-and-play with the estimated scanner and a denoiser of the bank's µCT (Zhang et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from ctloupe.networks.bicubic import enlarge_bicubic
from peer.budget import Budget
from peer.denoiser import trained_denoiser
from peer.inverse import deepinv, scanner_physics
from peer.pairs import Pairs
from peer.volumes import Enhance

PACKAGES = ("deepinv",)


def fit(pairs: Pairs, budget: Budget, seed: int) -> Enhance:
    """Return DPIR with its own schedule for the noise of the estimate."""
    denoiser = trained_denoiser(pairs, budget, seed)
    physics = scanner_physics(pairs, (0.0, 1.0))

    @torch.no_grad()
    def enhance(scan: Tensor) -> Tensor:
        y = (scan + 1) / 2
        solver = deepinv.optim.DPIR(sigma=max(pairs.noise / 2, 0.01), denoiser=denoiser)
        start = enlarge_bicubic(y, pairs.scale)
        return 2 * solver(y, physics, init=start) - 1

    return enhance
