"""Normalisation statistics taken once per volume, so that a pixel no longer depends on the tile it is computed in.

Instance normalisation uses the mean and variance of whatever crop a network is given; that is where the grid in
patch-wise super-resolution comes from. Here the network first sees a seeded sample of patches of the volume,
exactly as in training; the statistics each normalisation layer met are averaged and then held fixed.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class FixedNorm(nn.Module):
    """Normalises with a given mean and variance per feature map, whatever the input.

    Parameters
    ----------
    mean, variance : (c,)
    eps
        Added to the variance, as the layer it replaces did.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, mean: Tensor, variance: Tensor, eps: float) -> None:
        super().__init__()
        self.register_buffer("mean", mean.view(1, -1, 1, 1))
        self.register_buffer("variance", variance.view(1, -1, 1, 1))
        self.eps = eps

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        gain = torch.rsqrt(self.variance + self.eps)
        return torch.addcmul(-self.mean * gain, features, gain)


class _Moments:
    """Averages over patches of one layer's per-patch mean and (biased) variance."""

    def __init__(self) -> None:
        self.mean = torch.zeros(())
        self.variance = torch.zeros(())
        self.count = 0

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        # Two passes over the values are twice as fast as `torch.var_mean`.
        values = inputs[0].double()
        mean = values.mean((2, 3), keepdim=True)
        variance = (values - mean).square_().mean((2, 3))
        self.mean = self.mean + mean[..., 0, 0].sum(0).cpu()
        self.variance = self.variance + variance.sum(0).cpu()
        self.count += inputs[0].shape[0]


@torch.no_grad()
def calibrated(enhancer: nn.Module, patches: Tensor, batch_size: int = 16) -> nn.Module:
    """Return a copy of `enhancer` whose normalisation layers use the statistics met on `patches`.

    Parameters
    ----------
    enhancer
        Network in evaluation mode; it is left unchanged.
    patches : (n, 1, p, p) in [−1, 1]
        Sample of the volume at the training patch size.
    batch_size
        Patches at a time.

    Returns
    -------
    nn.Module
        Local: its output at a pixel depends only on the input within its receptive field.

    Raises
    ------
    ValueError
        If there are no patches, or a layer keeps statistics of its own.
    """
    if len(patches) == 0:
        raise ValueError("calibration needs at least one patch")
    network = copy.deepcopy(enhancer)
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.InstanceNorm2d)}
    if any(layer.affine or layer.track_running_stats for layer in layers.values()):
        raise ValueError("only instance normalisation without affine parameters or running statistics is calibrated")
    moments = {name: _Moments() for name in layers}
    handles = [layer.register_forward_pre_hook(moments[name]) for name, layer in layers.items()]
    for chunk in patches.split(batch_size):
        network(chunk)
    for handle in handles:
        handle.remove()
    for name, layer in layers.items():
        found = moments[name]
        mean, variance = (found.mean / found.count).float(), (found.variance / found.count).float()
        fixed = FixedNorm(mean, variance, layer.eps)
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, fixed)
    return network
