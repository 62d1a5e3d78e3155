"""The network that is exported: HU in, HU out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ctloupe.enhance.flat_field import FlatField
from ctloupe.export.bicubic import BicubicByConvolution, bicubic_kernel
from ctloupe.export.scan_model import ScanModel, norm_buffers


class HounsfieldNetwork(nn.Module):
    """A model for slices in HU; what it is told of a scan is either part of it, or comes as further inputs.

    Parameters
    ----------
    scan_model
        The model, and what it is told of a scan.
    open_to
        Names of what is an input; see `ctloupe.export.scan_model.MEANINGS`. None of them: all is part of the network.
    """

    window: Tensor
    kernel: Tensor
    mesh: Tensor

    def __init__(self, scan_model: ScanModel, open_to: tuple[str, ...] = ()) -> None:
        super().__init__()
        window, scale = scan_model.model.window, scan_model.model.scale
        self.open_to, self.scale, self.neighbours = open_to, scale, scan_model.neighbours
        self.network = scan_model.network if open_to else scan_model.plain
        self.flattens = scan_model.mesh is not None
        self._norms = norm_buffers(self.network)
        self.register_buffer("window", torch.tensor([window.low, window.high]))
        self.register_buffer("kernel", bicubic_kernel(scale))
        if scan_model.mesh is not None:
            self.register_buffer("mesh", scan_model.mesh)
        self.eval().requires_grad_(False)

    def forward(self, hu: Tensor, *given: Tensor) -> Tensor:
        """Enhance slices.

        Parameters
        ----------
        hu : (n, 1, h, w), or (n, 3, h, w) where the network looks at neighbouring slices
            Slices in HU; in the second case the slice below, the slice, and the slice above.
        given
            What `open_to` names, in that order.

        Returns
        -------
        Tensor of shape (n, 1, s·h, s·w)
            Enhanced slices in HU.
        """
        told = dict(zip(self.open_to, given, strict=True))
        window = told.get("window", self.window)
        middle, half = (window[0] + window[1]) / 2, (window[1] - window[0]) / 2
        unit = ((hu - middle) / half).clamp(-1, 1)
        alone = unit
        if self.neighbours:
            alone = unit[:, 1:2]
            unit = torch.cat([alone, unit[:, 0:1], unit[:, 2:3]], 1)
        with BicubicByConvolution(self.kernel, self.scale), _holding(self.network, self._buffers_told(told)):
            made = self.network(unit)
        if self.flattens:
            made = made - FlatField(told.get("mesh", self.mesh), self.scale).mesh(alone[:, 0])[:, None]
        return made * half + middle

    def _buffers_told(self, told: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the inputs say, by the buffers of the network that hold it."""
        found: dict[str, Tensor] = {}
        if "statistics" in told:
            parts = told["statistics"].split(list(self._norms.values()))
            found |= {name: part.view(1, -1, 1, 1) for name, part in zip(self._norms, parts, strict=True)}
        if "scanner" in told:
            found["scanner"] = told["scanner"][:4]
            if self.neighbours:
                found["slice_spacing"] = told["scanner"][4]
        return found


@contextmanager
def _holding(network: nn.Module, buffers: Mapping[str, Tensor]) -> Iterator[None]:
    """Put tensors in the place of buffers for a while (`torch.func.functional_call` cannot be traced)."""
    places = {name: name.rpartition(".") for name in buffers}
    before = {name: network.get_buffer(name) for name in buffers}

    def put(values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            setattr(network.get_submodule(places[name][0]), places[name][2], value)

    put(buffers)
    try:
        yield
    finally:
        put(before)
