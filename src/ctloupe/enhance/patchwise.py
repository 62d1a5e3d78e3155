"""The papers' own ways to enhance a slice, for comparison: its own statistics, or independent patches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ctloupe.enhance.back_projection import block_mean
from ctloupe.enhance.blending import Blend
from ctloupe.enhance.exact import EnhancedSlice
from ctloupe.enhance.samples import sampled
from ctloupe.enhance.stitch import match_histogram, median_filtered
from ctloupe.images.windows import IntensityWindow
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.dropout import sampling
from ctloupe.networks.tile import Tile


@dataclass
class Patchwise:
    """Enhances slices with the network as it was trained, in float32.

    Attributes
    ----------
    network
        In evaluation mode, not calibrated.
    scale, window
        As in `Engine`.
    patch_size
        Side of the independent patches; None: the whole slice at once.
    samples, seed
        Passes with dropout.
    match_histograms, median
        As ISBI 2021 hides the grid.
    spacing, blend, blend_outside
        As in `Engine`.
    device
        Where the network is.
    """

    network: nn.Module
    scale: int
    window: IntensityWindow
    patch_size: int | None
    samples: int = 0
    seed: int = 0
    match_histograms: bool = False
    median: int = 1
    spacing: tuple[float, float] = (1.0, 1.0)
    blend: float = 0.0
    blend_outside: bool = False
    device: torch.device | str = "cpu"

    @torch.no_grad()
    def enhance(self, hu: NDArray[np.number], mask: NDArray[np.bool_] | None, index: int) -> EnhancedSlice:
        """Enhance one slice; see `Engine.enhance`."""
        scan = torch.from_numpy(np.ascontiguousarray(hu, dtype=np.float32))[None, None]
        mask = np.ones(scan.shape[2:], bool) if mask is None else mask
        plain = enlarge_bicubic(scan, self.scale)
        spread: Tensor | None = torch.zeros_like(plain) if self.samples else None
        if mask.any():
            unit = self.window.to_unit(scan)
            whole = Tile((0, mask.shape[0]), (0, mask.shape[1]), *mask.shape)
            blend = Blend(mask, self.spacing, self.blend, outside=self.blend_outside)
            weight = blend.weight(whole, self.scale)
            if self.samples:
                with sampling(self.network):
                    moments = sampled(self._pass, unit, self.samples, self.seed * 1_000_003 + index)
                result, spread = moments.mean, moments.deviation if weight is None else moments.deviation * weight
            else:
                result = self._pass(unit)
            plain = result if weight is None else torch.lerp(plain, result, weight)
        off = (block_mean(plain[0, 0], self.scale) - scan[0, 0]).numpy()[mask]
        return EnhancedSlice.of(plain[0, 0], None if spread is None else spread[0, 0], off, 1, int(not mask.any()))

    def _pass(self, unit: Tensor) -> Tensor:
        unit = unit.to(self.device)
        detail = self.network(unit) if self.patch_size is None else self._by_patches(unit, self.patch_size)
        return self.window.from_unit(detail.float().cpu())

    def _by_patches(self, image: Tensor, size: int) -> Tensor:
        """Independent patches of the training size, side by side; the last ones are aligned with the edge."""
        scale = self.scale
        height, width = image.shape[-2:]
        if min(height, width) < size:
            whole: Tensor = self.network(image)
            return whole
        out = image.new_empty(1, 1, height * scale, width * scale)
        for top in [*range(0, height - size, size), height - size]:
            for left in [*range(0, width - size, size), width - size]:
                low = image[..., top : top + size, left : left + size]
                patch = self.network(low)
                if self.match_histograms:
                    patch = _on_numpy(match_histogram, patch, enlarge_bicubic(low, scale))
                out[..., top * scale : (top + size) * scale, left * scale : (left + size) * scale] = patch
        return out if self.median == 1 else _on_numpy(partial(median_filtered, size=self.median), out)


def _on_numpy(function: Callable[..., NDArray[np.float32]], *images: Tensor) -> Tensor:
    """Apply a function of 2-D arrays to images ``(1, 1, h, w)``."""
    made = function(*(image[0, 0].float().cpu().numpy() for image in images))
    return torch.from_numpy(np.ascontiguousarray(made, dtype=np.float32))[None, None].to(images[0].device)
