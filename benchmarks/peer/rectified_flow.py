"""MONAI: its diffusion U-Net beside the bicubic enlargement, trained and sampled by its rectified flow."""

from __future__ import annotations

import torch
from monai.networks.nets import DiffusionModelUNet
from monai.networks.schedulers import RFlowScheduler
from torch import Tensor

from ctloupe.networks.average import as_average, follow
from ctloupe.networks.bicubic import enlarge_bicubic
from peer.budget import Budget
from peer.pairs import Pairs
from peer.volumes import Enhance

PACKAGES = ("monai",)
CHANNELS, BATCH, STEPS = (16, 32, 64, 64), 4, 10
DECAY = 0.99
"""Of the moving average of the weights."""
SPREAD = 0.5
"""Standard deviation of the difference to bicubic that becomes about 1, as the noise has."""


def fit(pairs: Pairs, budget: Budget, seed: int) -> Enhance:
    """Return a sampler of ten steps; what it makes is one sample."""
    torch.manual_seed(seed)
    network = DiffusionModelUNet(
        spatial_dims=2,
        in_channels=2,
        out_channels=1,
        channels=CHANNELS,
        attention_levels=(False,) * len(CHANNELS),
        num_res_blocks=1,
        norm_num_groups=8,
        # Its middle block attends to everything everywhere; without this the memory grows with the square of a tile.
        use_flash_attention=True,
    )
    average = as_average(network)
    schedule = RFlowScheduler(use_discrete_timesteps=False, sample_method="logit-normal")
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)
    while budget.step():
        low, high = pairs.draw(BATCH)
        plain = enlarge_bicubic(low, pairs.scale)
        difference = (high - plain) / SPREAD
        noise, times = torch.randn_like(difference), schedule.sample_timesteps(difference)
        between = schedule.add_noise(difference, noise, times)
        velocity = network(torch.cat([between, plain], 1), times)
        loss = (velocity - (difference - noise)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        follow(average, network, torch.tensor(budget.steps), DECAY)
    trained = average.eval()
    schedule.set_timesteps(STEPS)

    @torch.no_grad()
    def enhance(scan: Tensor) -> Tensor:
        plain = enlarge_bicubic(scan, pairs.scale)
        image = torch.randn_like(plain)
        times = schedule.timesteps.float().tolist()
        for now, after in zip(times, [*times[1:], 0.0], strict=True):
            velocity = trained(torch.cat([image, plain], 1), torch.tensor([now]))
            image, _ = schedule.step(velocity, now, image, after)
        return plain + SPREAD * image

    return enhance
