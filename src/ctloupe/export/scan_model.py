"""A model with everything that it is told of one scan, and that as arrays by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ctloupe.enhance.flat_field import FlatField
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.network.calibrate import FixedNorm
from ctloupe.enhance.network.fold import folded
from ctloupe.enhance.network.tiles import TiledNetwork
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.preparation import network_for_scan
from ctloupe.enhance.scan_part import Mask
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.networks.flow.mean import MeanNetwork
from ctloupe.networks.receptive_field import ReceptiveField
from ctloupe.volume.volume import Volume

MEANINGS: Final = {
    "window": "Smallest and largest value of the scan in HU, which are −1 and 1 to the network.",
    "statistics": "Mean and variance of every feature map before each normalisation, layer after layer.",
    "scanner": "Blur in voxels, noise in units of half the window, rise and roll-off of the noise, and for networks "
    "that look at neighbouring slices their distance in mm.",
    "mesh": "What the network adds to flat images, by their value and by the place within a voxel, in units of half "
    "the window; it is taken off.",
}
"""What a model may be told of a scan, by the name of the input of an exported file."""


def norm_buffers(network: nn.Module) -> dict[str, int]:
    """Return the names of the means and variances of a calibrated network, each with its number of feature maps."""
    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, FixedNorm)]
    return {f"{name}.{kind}": layer.mean.numel() for name, layer in layers for kind in ("mean", "variance")}


@dataclass(frozen=True)
class ScanModel:
    """A model with what it is told of one scan.

    Attributes
    ----------
    model
        The model with the window that it has on the scan.
    network
        The network with the statistics and the scanner of the scan, not folded.
    own_window
        Whether the window is that of the scan.
    flat_field
        See `EnhanceOptions.flat_field`.
    """

    model: LoadedModel
    network: nn.Module
    own_window: bool
    flat_field: str

    @classmethod
    def of(
        cls,
        model: LoadedModel,
        options: EnhanceOptions,
        scan: Volume,
        mask: Mask | None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> ScanModel:
        """Measure a scan as enhancing does; see `ctloupe.enhance.preparation.prepared`."""
        fitted = model.for_scan(scan, tell)
        network = network_for_scan(fitted, options, scan, mask, tell)
        return cls(fitted, network.float(), model.scaling == "min-max", options.flat_field)

    @property
    def neighbours(self) -> bool:
        """Whether the network looks at the slices below and above."""
        return isinstance(self.network, FlowEnhancer) and self.network.neighbours

    @cached_property
    def plain(self) -> nn.Module:
        """The network in which all of this is folded into the weights."""
        network = MeanNetwork(self.network) if isinstance(self.network, FlowEnhancer) else self.network
        return folded(network).float()

    @cached_property
    def field(self) -> ReceptiveField:
        """How far the whole network looks, in scan voxels."""
        return TiledNetwork(self.plain, self.plain, self.model.scale).whole

    @cached_property
    def mesh(self) -> Tensor | None:
        """What the network adds to flat images, where that is taken off; see `FlatField.table`."""
        wanted = self.flat_field == "on" or (self.flat_field == "auto" and isinstance(self.network, FlowEnhancer))
        if not wanted:
            return None
        reach = max(self.field.halo, self.field.multiple)
        return FlatField.of(self.plain, self.model.scale, reach, torch.device("cpu")).table

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """What the model is told of the scan, by `MEANINGS`; only what this model is told."""
        found: dict[str, Tensor] = {}
        if self.own_window:
            found["window"] = torch.tensor([self.model.window.low, self.model.window.high])
        buffers = [self.network.get_buffer(name).flatten() for name in norm_buffers(self.network)]
        if buffers:
            found["statistics"] = torch.cat(buffers)
        if isinstance(self.network, FlowEnhancer):
            found["scanner"] = self.network.told()
        if self.mesh is not None:
            found["mesh"] = self.mesh
        return {name: one.detach().cpu().float().numpy() for name, one in found.items()}
