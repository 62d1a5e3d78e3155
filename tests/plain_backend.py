"""The simplest backend a training step can run on, and batches for it."""

from contextlib import nullcontext

import torch

from ctloupe.methods.base import Batch


class PlainBackend:
    """Eager float32 on one device."""

    def __init__(self, method):
        self.trainables, self.optimisers = method.trainables(), method.optimisers()

    def forward(self, trainable, *inputs):
        return self.trainables[trainable](*inputs)

    def autocast(self):
        return nullcontext()

    def update(self, trainable, loss):
        self.optimisers[trainable].zero_grad()
        loss.backward()
        self.optimisers[trainable].step()


def random_batch(method, n=2, seed=0):
    """Unrelated clinical and µCT patches of the size the method is configured for, within ±0.5."""
    random = torch.Generator().manual_seed(seed)
    size, scale = method.config.patch_size, method.config.scale
    low = torch.rand(n, 1, size, size, generator=random) - 0.5
    high = torch.rand(n, 1, scale * size, scale * size, generator=random) - 0.5
    return Batch(low, high)
