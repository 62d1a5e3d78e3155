"""The papers' own ways to enhance a slice, for comparison: its own statistics, or independent patches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctloupe.enhance.back_projection import difference
from ctloupe.enhance.bicubic import enlarged_within
from ctloupe.enhance.blending import Blend
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.network.footprint import Footprint
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.samples import sampled
from ctloupe.enhance.slice_enhancer import EnhancedSlice, channels_of
from ctloupe.enhance.stitch import match_histogram, median_filtered
from ctloupe.enhance.tiling import Tiling
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.dropout import sampling
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.networks.neighbours import slice_alone
from ctloupe.networks.tile import Tile


class PatchwiseSliceEnhancer:
    """Enhances slices with the network as it was trained, in float32; see `SliceEnhancer`.

    Parameters
    ----------
    model
        Model whose network is in evaluation mode and not calibrated.
    options
        How slices are enhanced; `stitch`, `stitch_size`, `samples`, `seed`, `match_histograms`, `median`, `blend` and
        `blend_outside` are followed.
    spacing
        Distance of rows and of columns of the scan in mm.
    """

    tiling: Tiling | None = None
    tile: tuple[int, int] | None = None

    def __init__(self, model: LoadedModel, options: EnhanceOptions, spacing: tuple[float, float]) -> None:
        if model.network is None:
            raise ValueError("a patchwise slice enhancer needs a network")
        self.network = model.network.to(model.device)
        self.neighbours = int(isinstance(self.network, FlowEnhancer) and self.network.neighbours)
        self.scale, self.window, self.device = model.scale, model.window, model.device
        self.options, self.spacing, self.limits = options, spacing, model.limits
        self.patch_size = (options.stitch_size or model.patch_size) if options.stitch == "patches" else None

    def use(self, tiling: Tiling) -> None:
        """Do nothing: the size of patches is that of the training, or was asked for."""

    def footprint(self, shape: tuple[int, int]) -> float:
        """Bytes of features in work for a slice of `shape` on the scan's grid."""
        needs = Footprint.of(self.network, 4)
        height, width = shape if self.patch_size is None else (self.patch_size, self.patch_size)
        return 2.0 * max(needs.coarse, needs.tile) * height * width

    @torch.no_grad()
    def enhance(self, hu: NDArray[np.number], mask: NDArray[np.bool_] | None, index: int) -> EnhancedSlice:
        """Enhance one slice; see `SliceEnhancer.enhance`."""
        seen = channels_of(hu)[None]
        scan = slice_alone(seen)
        mask = np.ones(scan.shape[2:], bool) if mask is None else mask
        plain = enlarged_within(scan, self.scale, self.limits)
        spread: Tensor | None = torch.zeros_like(plain) if self.options.samples else None
        if mask.any():
            unit = self.window.to_unit(seen)
            blend = Blend(mask, self.spacing, self.options.blend, outside=self.options.blend_outside)
            weight = blend.weight(Tile((0, mask.shape[0]), (0, mask.shape[1]), *mask.shape), self.scale)
            if self.options.samples:
                with sampling(self.network):
                    moments = sampled(self._pass, unit, self.options.samples, self.options.seed * 1_000_003 + index)
                result, spread = moments.mean, moments.deviation if weight is None else moments.deviation * weight
            else:
                result = self._pass(unit)
            plain = result if weight is None else torch.lerp(plain, result, weight)
        off = difference(plain[0, 0], scan[0, 0], self.scale)[mask]
        return EnhancedSlice.of(
            plain[0, 0], {} if spread is None else {"deviation": spread[0, 0]}, off, 1, int(not mask.any())
        )

    def _pass(self, unit: Tensor) -> Tensor:
        unit = unit.to(self.device)
        detail = self.network(unit) if self.patch_size is None else self._by_patches(unit, self.patch_size)
        return self.window.from_unit(detail.float().cpu())

    def _by_patches(self, image: Tensor, size: int) -> Tensor:
        """Independent patches side by side; the last ones are aligned with the edge."""
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
                if self.options.match_histograms:
                    patch = _on_numpy(match_histogram, patch, enlarge_bicubic(low, scale))
                out[..., top * scale : (top + size) * scale, left * scale : (left + size) * scale] = patch
        return out if self.options.median == 1 else _on_numpy(partial(median_filtered, size=self.options.median), out)


def _on_numpy(function: Callable[..., NDArray[np.float32]], *images: Tensor) -> Tensor:
    """Apply a function of 2-D arrays to images ``(1, 1, h, w)``."""
    made = function(*(image[0, 0].float().cpu().numpy() for image in images))
    return torch.from_numpy(np.ascontiguousarray(made, dtype=np.float32))[None, None].to(images[0].device)
