"""Protocols ``jmi`` and ``synth``: µCT is made coarse, enhanced, and compared with itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import zoom
from torch import Tensor

from ctloupe.enhance.resolver import SuperResolver, load_model
from ctloupe.evaluate.comparison import Comparison, Recipe
from ctloupe.evaluate.metrics.fidelity import jmi_psnr, jmi_ssim
from ctloupe.evaluate.protocols.recipes import JMI, SYNTH
from ctloupe.foundation.errors import GeometryError
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.digest import digest_of
from ctloupe.volume.volume import Volume


def compare_by_jmi(
    micro: Volume,
    resolver: SuperResolver,
    micro_window: IntensityWindow,
    patches: int | None = None,
    seed: int = 0,
) -> Comparison:
    """Pseudo-paired protocol of JMI 2022: enhance downsampled µCT and compare with the original.

    Each µCT slice is normalised to [−1, 1], shrunk by s with cubic interpolation *without* antialiasing, cut into
    patches of the training size, enhanced patch by patch with each patch's own normalisation statistics, and
    compared with the original patch.

    Parameters
    ----------
    micro
        µCT volume.
    resolver
        The model; plain bicubic is always a row.
    micro_window
        Of the µCT values.
    patches
        At most so many patches, chosen by `seed`; None: all.
    """
    scale = resolver.scale

    def shrunk(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        return shrink_cubic(plane, scale)

    return _pseudo_paired(JMI, micro, resolver, micro_window, shrunk, patches, seed)


def compare_synthesised(
    micro: Volume,
    resolver: SuperResolver,
    clinical_like: Callable[[Tensor], Tensor],
    micro_window: IntensityWindow,
    patches: int | None = None,
    seed: int = 0,
) -> Comparison:
    """Protocol of Synth 2020: enhance what a trained network makes of µCT patches, and compare with the µCT.

    Parameters
    ----------
    micro, resolver, micro_window, patches, seed
        As in `compare_by_jmi`.
    clinical_like
        Maps µCT ``(n, 1, s·h, s·w)`` in [−1, 1] to clinical-like images ``(n, 1, h, w)``: the paper's G1(f(y)).
    """
    return _pseudo_paired(SYNTH, micro, resolver, micro_window, clinical_like, patches, seed)


def _pseudo_paired(
    recipe: Recipe,
    micro: Volume,
    resolver: SuperResolver,
    micro_window: IntensityWindow,
    shrink: Callable[[Any], Any],
    patches: int | None,
    seed: int,
) -> Comparison:
    """Shrink µCT, enhance it patch by patch, and compare; JMI shrinks whole slices, Synth single patches."""
    size, scale = resolver.patch_size, resolver.scale
    fine = size * scale
    corners = _patch_corners(micro, fine, patches, seed)
    networks = {"bicubic": load_model("bicubic", scale).enhance_unit, resolver.name: resolver.enhance_unit}
    totals = {name: {metric: 0.0 for metric in recipe.metrics} for name in networks}
    at = -1
    plane = shrunk = np.empty((0, 0), np.float32)
    for z, top, left in corners:
        if z != at:
            at, plane = z, micro_window.to_unit(np.asarray(micro.data[z]))
            shrunk = shrink(plane) if recipe is JMI else shrunk
        high = plane[top : top + fine, left : left + fine]
        if recipe is JMI:
            cut = shrunk[top // scale : top // scale + size, left // scale : left // scale + size]
            low = torch.from_numpy(np.ascontiguousarray(cut))[None, None]
        else:
            with torch.no_grad():
                low = shrink(torch.from_numpy(np.ascontiguousarray(high))[None, None]).float()
        for name, network in networks.items():
            made = network(low)[0, 0].numpy()
            totals[name]["PSNR peak 1 (dB)"] += jmi_psnr(made, high)
            totals[name]["SSIM one window"] += jmi_ssim(made, high)
    rows = {name: {metric: total / len(corners) for metric, total in row.items()} for name, row in totals.items()}
    facts = {"scale": scale, "patches": len(corners), "patch_size": size, "seed": seed}
    return recipe.comparison(rows, facts=facts, data={"micro": digest_of(micro)})


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


def shrink_cubic(image: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    """Shrink by `scale` with cubic spline interpolation at the coarse voxel centres, without antialiasing."""
    height, width = (length // scale for length in image.shape)
    whole = image[: height * scale, : width * scale]
    return zoom(whole, 1 / scale, order=3, mode="nearest", grid_mode=True).astype(np.float32)
