"""µCT made coarse, enhanced patch by patch and compared with itself: what ``jmi`` and ``synth`` share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctloupe.enhance.resolver import SuperResolver, load_model
from ctloupe.evaluate.comparison import BASELINE, Comparison
from ctloupe.evaluate.protocols.base import Protocol
from ctloupe.evaluate.protocols.measuring import Measuring
from ctloupe.evaluate.slices import Reference, Setting
from ctloupe.foundation.errors import GeometryError
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.digest import digest_of
from ctloupe.volume.volume import Volume

Plane = NDArray[np.float32]
Shrink = Callable[[int, Plane, int, int], Plane]
"""Makes the patch to enhance, ``(h, w)`` in [−1, 1], from slice number, whole slice, and first row and column."""


def compare_shrunk(
    protocol: Protocol,
    micro: Volume,
    resolver: SuperResolver,
    micro_window: IntensityWindow,
    shrink: Shrink,
    patches: int | None,
    seed: int,
) -> Comparison:
    """Shrink patches of µCT, enhance them with each patch's own statistics, and compare with the originals.

    Parameters
    ----------
    protocol
        Says which metrics.
    micro, resolver, micro_window, patches, seed
        The same as in `compare_by_jmi`.
    shrink
        Makes the patch to enhance.

    Raises
    ------
    GeometryError
        If slices are smaller than a patch.
    """
    size, scale = resolver.patch_size, resolver.scale
    fine = size * scale
    corners = _patch_corners(micro, fine, patches, seed)
    networks = {BASELINE: load_model(BASELINE, scale).enhance_unit, resolver.name: resolver.enhance_unit}
    pixel = micro.spacing[1]
    setting = Setting(scale, micro.shape[0], (pixel, micro.spacing[2]), frozenset({"scan", "truth"}))
    measuring = Measuring(protocol.metrics, setting, networks)
    at, plane = -1, np.empty((0, 0), np.float32)
    for z, top, left in corners:
        if z != at:
            at, plane = z, micro_window.to_unit(np.asarray(micro.data[z]))
        high = plane[top : top + fine, left : left + fine]
        low = shrink(z, plane, top, left)
        reference = Reference(setting, z, low, high)
        batch = torch.from_numpy(np.ascontiguousarray(low))[None, None]
        measuring.add(reference, ((_enhanced(network, batch), pixel) for network in networks.values()))
    facts = {"scale": scale, "patches": len(corners), "patch_size": size, "seed": seed}
    return protocol.comparison(measuring.rows(), facts=facts, data={"micro": digest_of(micro)})


def _enhanced(network: Callable[[Tensor], Tensor], batch: Tensor) -> Plane:
    made: Plane = network(batch)[0, 0].numpy()
    return made


def _patch_corners(micro: Volume, fine: int, patches: int | None, seed: int) -> list[tuple[int, int, int]]:
    corners = [
        (z, top, left)
        for z in range(micro.shape[0])
        for top in range(0, micro.shape[1] - fine + 1, fine)
        for left in range(0, micro.shape[2] - fine + 1, fine)
    ]
    if not corners:
        raise GeometryError(
            f"µCT slices of {micro.shape[1]}×{micro.shape[2]} are smaller than one patch of {fine}×{fine}"
        )
    if patches is not None and patches < len(corners):
        chosen = np.random.default_rng(seed).choice(len(corners), patches, replace=False)
        corners = [corners[index] for index in sorted(chosen)]
    return corners
