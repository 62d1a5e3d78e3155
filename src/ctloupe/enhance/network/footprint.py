"""How much memory a network needs for an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from ctloupe.networks.split import SplitNetwork

COARSE_COPIES: Final = 2.0
"""How many times what goes into and comes out of the widest coarse layer is in memory at once (measured)."""

_SIZE: Final = 32


@dataclass(frozen=True)
class Footprint:
    """Bytes that one coarse pixel needs in the layers of a network.

    Attributes
    ----------
    coarse, tile
        Largest input and output of a layer together: of the part computed for the whole slice, and of the
        part computed by tiles, in bytes per coarse pixel and pass.
    tensor
        Largest single tensor of the latter.
    """

    coarse: float
    tile: float
    tensor: float

    @classmethod
    @torch.no_grad()
    def of(cls, network: nn.Module, bytes_each: int) -> Footprint:
        """Measure a network on a small image, with so many bytes for a number."""
        device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
        image = torch.zeros(1, 1, _SIZE, _SIZE, device=device)
        largest = {"coarse": 0.0, "tile": 0.0, "tensor": 0.0}
        part = "coarse" if isinstance(network, SplitNetwork) else "tile"

        def watch(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            sizes = [one.numel() * bytes_each for one in (*inputs, output) if isinstance(one, Tensor)]
            largest[part] = max(largest[part], float(sum(sizes)))
            if part == "tile":
                largest["tensor"] = max(largest["tensor"], float(max(sizes, default=0)))

        leaves = [layer for layer in network.modules() if not any(True for _ in layer.children())]
        handles = [layer.register_forward_hook(watch) for layer in leaves]
        if isinstance(network, SplitNetwork):
            features = network.coarse_features(image)
            part = "tile"
            network.render(features, image)
        else:
            network(image)
        for handle in handles:
            handle.remove()
        area = _SIZE * _SIZE
        return cls(largest["coarse"] / area, largest["tile"] / area, largest["tensor"] / area)
