"""deepinv's DRUNet, trained to take noise off the bank's µCT: the prior of DPIR."""

from __future__ import annotations

import torch

from ctloupe.networks.average import as_average, follow
from peer.budget import Budget
from peer.inverse import deepinv
from peer.pairs import Pairs

WIDTHS, BLOCKS, BATCH = (16, 32, 64, 128), 2, 4
FAINTEST, STRONGEST = 0.01, 0.2
"""Standard deviations of the noise, in units of [0, 1]; DPIR begins with 49/255."""
DECAY = 0.99
"""Of the moving average of the weights."""
SPREAD = 0.2
"""Standard deviation of the images, by which errors at different noise are weighed (Karras et al. 2022)."""


def trained_denoiser(pairs: Pairs, budget: Budget, seed: int) -> torch.nn.Module:
    """Return the moving average of a denoiser of µCT in clinical intensities, in units of [0, 1]."""
    torch.manual_seed(seed)
    network = deepinv.models.DRUNet(in_channels=1, out_channels=1, nc=WIDTHS, nb=BLOCKS, pretrained=None)
    average = as_average(network)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)
    while budget.step():
        _, high = pairs.draw(BATCH)
        clean = (high + 1) / 2
        strength = FAINTEST + (STRONGEST - FAINTEST) * torch.rand(BATCH)
        at = strength.view(-1, 1, 1, 1)
        error = network(clean + at * torch.randn_like(clean), strength) - clean
        loss = (error.square() * (1 / at.square() + 1 / SPREAD**2)).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        follow(average, network, torch.tensor(budget.steps), DECAY)
    return average.eval().requires_grad_(False)
