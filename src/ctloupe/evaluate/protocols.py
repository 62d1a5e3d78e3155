"""Named recipes for a comparison. Numbers of different protocols must never stand in one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import zoom
from torch import Tensor

from ctloupe.enhance.resolver import SuperResolver, load_model
from ctloupe.evaluate.consistency import consistency
from ctloupe.evaluate.fidelity import jmi_psnr, jmi_ssim, mae, psnr, ssim_windowed
from ctloupe.evaluate.hu_moments import hu_moments, minimum_hu_distance
from ctloupe.evaluate.realism import power_spectrum_distance, radial_power
from ctloupe.evaluate.resolution import RingCorrelator
from ctloupe.prepare.intensity import IntensityWindow
from ctloupe.volume.errors import GeometryError, OptionError
from ctloupe.volume.geometry import refined_grid
from ctloupe.volume.notice import RESEARCH_NOTICE
from ctloupe.volume.volume import Volume

PAIRED: Final = "paired-truth"
CONSISTENCY_ONLY: Final = "no-truth"
JMI: Final = "jmi"
SYNTH: Final = "synth"
ISBI: Final = "isbi"
VERSION: Final = 1
PAIRED_VERSION: Final = 2
"""Version 2 added resolution and spectrum distance; the other numbers are those of version 1."""

SPECTRAL_SLICES: Final = 16
"""Slices, evenly spread over the mask, that Fourier transforms are taken of."""

DATA_RANGE_HU: Final = 1500.0
"""Stated range of lung HU (−1000 … 500) that PSNR and SSIM refer to."""


@dataclass(frozen=True)
class Comparison:
    """What a protocol found: one row of numbers for each way of enhancing, bicubic first.

    Attributes
    ----------
    protocol
        Name and version; only rows of one protocol may be compared.
    rows
        Metric name to value, by row name.
    definitions
        One sentence for each metric.
    facts
        Data and settings the numbers depend on.
    """

    protocol: str
    rows: dict[str, dict[str, float]]
    definitions: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)
    notice: str = RESEARCH_NOTICE


_CONSISTENCY = {
    "consistency RMS (HU)": "root mean square of (mean of each s×s block of SR − scan) over the mask; 0 is perfect",
    "consistency bias (HU)": "mean of (mean of each s×s block of SR − scan) over the mask",
}
_PAIRED = {
    "PSNR (dB)": f"10·log10(range² / MSE) against the truth over the mask, range {DATA_RANGE_HU:g} HU; more is better",
    "SSIM": "mean structural similarity, 11×11 Gaussian window σ 1.5, slice by slice against the truth, "
    f"range {DATA_RANGE_HU:g} HU; 1 is identical",
    "MAE (HU)": "mean absolute difference to the truth over the mask; 0 is perfect",
    "resolution (mm)": "finest in-plane period at which the Fourier ring correlation with the truth is above 1/7; "
    "twice the pixel is the best there is, less is finer",
    "spectrum distance (dB)": "mean absolute difference of the radial power spectra of SR and truth; 0 is the same "
    "texture, wherever it lies",
}
_JMI = {
    "PSNR peak 1 (dB)": "JMI 2022: 10·log10(1 / MSE) on data in [−1, 1]; 6.02 dB below the usual range of 2",
    "SSIM one window": "JMI 2022: one window over the whole image, C1 = C2 = 1e-4",
}

_ISBI = {
    "m-HuM": "ISBI 2021, Eq. 5: distance I2 of Hu moments of each enhanced slice to the nearest µCT slice of whatever "
    "anatomy, averaged over slices; 0 is identical",
}


def interpolated(scan: Volume, scale: int, mask: NDArray[np.bool_] | None = None) -> Volume:
    """Bicubic row of every table: `scan` enlarged without a model."""
    return load_model("bicubic", scale).enhanced_lazily(scan, mask)


def compare_with_truth(
    scan: Volume, enhanced: dict[str, Volume], truth: Volume | None, mask: NDArray[np.bool_] | None = None
) -> Comparison:
    """Compare enhanced volumes with the truth (when there is one) and with the scan itself.

    Parameters
    ----------
    scan
        The clinical CT that was enhanced, or the same part of it.
    enhanced
        Volumes on the s-times finer grid of `scan`, by row name; a bicubic row is put first.
    truth
        On the same fine grid; None gives the consistency rows only.
    mask : bool on the grid of `scan`
        Where to compare; None: everywhere.

    Raises
    ------
    GeometryError
        If the grids do not belong together.
    """
    if not enhanced:
        raise OptionError("nothing to compare: give at least one enhanced volume")
    scale = scale_between(scan, next(iter(enhanced.values())))
    for name, volume in [*enhanced.items(), *([("truth", truth)] if truth else [])]:
        require_fine_grid(scan, volume, scale, name)
    everything = {"bicubic": interpolated(scan, scale)} | enhanced
    rows = {name: _row(scan, volume, truth, scale, mask) for name, volume in everything.items()}
    name, version = (PAIRED, PAIRED_VERSION) if truth is not None else (CONSISTENCY_ONLY, VERSION)
    definitions = (_PAIRED if truth is not None else {}) | _CONSISTENCY
    facts = {
        "scale": scale,
        "slices": scan.shape[0],
        "voxels_compared": int(mask.sum() if mask is not None else np.prod(scan.shape)) * scale**2,
        "clinical_spacing_mm": list(scan.spacing),
    }
    return Comparison(f"{name}, version {version}", rows, definitions, facts)


def _row(
    scan: Volume, volume: Volume, truth: Volume | None, scale: int, mask: NDArray[np.bool_] | None
) -> dict[str, float]:
    found: dict[str, float] = {}
    if truth is not None:
        found |= _fidelity(volume, truth, scale, mask) | _spectra(volume, truth, scale, mask)
    kept = consistency(volume.data, scan.data, scale=scale, mask=mask)
    return found | {"consistency RMS (HU)": kept.rms_hu, "consistency bias (HU)": kept.bias_hu}


def _fidelity(volume: Volume, truth: Volume, scale: int, mask: NDArray[np.bool_] | None) -> dict[str, float]:
    """Slice by slice, so that neither fine volume is ever held whole."""
    squares = absolute = similarity = 0.0
    voxels = 0
    for z in range(truth.shape[0]):
        inside = None if mask is None else mask[z].repeat(scale, 0).repeat(scale, 1)
        count = int(inside.sum()) if inside is not None else truth.shape[1] * truth.shape[2]
        if count == 0:
            continue
        ours = np.asarray(volume.data[z], dtype=np.float32)
        real = np.asarray(truth.data[z], dtype=np.float32)
        squares += count * DATA_RANGE_HU**2 / 10 ** (psnr(ours, real, data_range=DATA_RANGE_HU, mask=inside) / 10)
        absolute += count * mae(ours, real, mask=inside)
        similarity += count * ssim_windowed(ours, real, data_range=DATA_RANGE_HU, mask=inside)
        voxels += count
    if voxels == 0:
        raise OptionError("the mask is empty: there is nothing to compare")
    mse = squares / voxels
    return {
        "PSNR (dB)": float("inf") if mse == 0 else 10 * float(np.log10(DATA_RANGE_HU**2 / mse)),
        "SSIM": similarity / voxels,
        "MAE (HU)": absolute / voxels,
    }


def _spectra(volume: Volume, truth: Volume, scale: int, mask: NDArray[np.bool_] | None) -> dict[str, float]:
    """Resolution and texture inside the rectangle around the mask; what is outside the mask counts as its mean."""
    if mask is None:
        mask = np.ones((truth.shape[0], truth.shape[1] // scale, truth.shape[2] // scale), bool)
    rows, columns = (np.flatnonzero(mask.any((0, axis))) for axis in (2, 1))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    fine = tuple(slice(one.start * scale, one.stop * scale) for one in box)
    shown = np.flatnonzero(mask.any((1, 2)))
    chosen = shown[np.unique(np.linspace(0, len(shown) - 1, SPECTRAL_SLICES).astype(int))]
    shape = fine[0].stop - fine[0].start, fine[1].stop - fine[1].start
    correlator = RingCorrelator(shape, (truth.spacing[1], truth.spacing[2]))
    powers: list[NDArray[np.float64]] = [np.zeros(1), np.zeros(1)]
    for z in chosen:
        inside = mask[z][box].repeat(scale, 0).repeat(scale, 1)
        planes = [np.asarray(one.data[int(z)], np.float32)[fine] for one in (volume, truth)]
        planes = [np.where(inside, plane, plane[inside].mean()) for plane in planes]
        correlator.add(*planes)
        powers = [power + radial_power(plane) for power, plane in zip(powers, planes, strict=True)]
    return {
        "resolution (mm)": correlator.result().crossing(),
        "spectrum distance (dB)": power_spectrum_distance(*powers),
    }


def scale_between(scan: Volume, fine: Volume) -> int:
    """Whole in-plane factor from `scan` to `fine`.

    Raises
    ------
    GeometryError
        If there is none.
    """
    scale = fine.shape[1] // scan.shape[1]
    if scale < 1 or fine.shape != (scan.shape[0], scan.shape[1] * scale, scan.shape[2] * scale):
        raise GeometryError(
            f"--output has shape {fine.shape}, which is no whole in-plane multiple of the input's {scan.shape}; "
            "give the volume that was made from this input (crop the input with the same --slices or --roi)"
        )
    return scale


def require_fine_grid(scan: Volume, fine: Volume, scale: int, name: str) -> None:
    """Raise `GeometryError` unless `fine` lies on the `scale` times finer grid of `scan`, to 1% of a voxel."""
    spacing, origin = refined_grid(scan.spacing, scan.origin, scan.direction, scale)
    shape = (scan.shape[0], scan.shape[1] * scale, scan.shape[2] * scale)
    if fine.shape != shape:
        raise GeometryError(f"{name}: shape {fine.shape}, expected {shape} for this input at ×{scale}")
    off = float(np.abs(np.subtract(fine.origin, origin)).max())
    if off > 0.01 * min(spacing) or not np.allclose(fine.spacing, spacing, rtol=1e-3):
        raise GeometryError(
            f"{name}: lies elsewhere than the input at ×{scale} (origin off by {off:.4g} mm, spacing {fine.spacing} "
            f"where {spacing} is expected); compare volumes of the same scan"
        )
    if not np.allclose(fine.direction, scan.direction, atol=1e-4):
        raise GeometryError(f"{name}: is oriented otherwise than the input; compare volumes of the same scan")


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
    protocol: str,
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
    totals = {name: {metric: 0.0 for metric in _JMI} for name in networks}
    at = -1
    plane = shrunk = np.empty((0, 0), np.float32)
    for z, top, left in corners:
        if z != at:
            at, plane = z, micro_window.to_unit(np.asarray(micro.data[z]))
            shrunk = shrink(plane) if protocol == JMI else shrunk
        high = plane[top : top + fine, left : left + fine]
        if protocol == JMI:
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
    return Comparison(f"{protocol}, version {VERSION}", rows, _JMI, facts)


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


def compare_by_hu_moments(
    enhanced: dict[str, Volume],
    scan: Volume,
    specimen: Volume,
    clinical_window: IntensityWindow,
    micro_window: IntensityWindow,
) -> Comparison:
    """Protocol of ISBI 2021: minimum Hu-moment distance of enhanced slices to unpaired µCT slices.

    Parameters
    ----------
    enhanced
        By row name, on the s-times finer grid of `scan`; a bicubic row is put first.
    scan
        The clinical CT.
    specimen
        µCT of whatever anatomy.
    clinical_window, micro_window
        Bring both to [0, 1].
    """
    scale = scale_between(scan, next(iter(enhanced.values())))
    theirs = _hu_moments_of(specimen, micro_window)
    everything = {"bicubic": interpolated(scan, scale)} | enhanced
    rows = {
        name: {"m-HuM": minimum_hu_distance(_hu_moments_of(volume, clinical_window), theirs)}
        for name, volume in everything.items()
    }
    facts = {"scale": scale, "slices": scan.shape[0], "micro_slices": specimen.shape[0]}
    return Comparison(f"{ISBI}, version {VERSION}", rows, _ISBI, facts)


def _hu_moments_of(volume: Volume, window: IntensityWindow) -> NDArray[np.float64]:
    """Hu moments slice by slice, so that the volume is never held whole."""
    units = (window.to_unit(np.asarray(volume.data[z])) for z in range(volume.shape[0]))
    return np.concatenate([hu_moments((unit[None] + 1) / 2) for unit in units])


def shrink_cubic(image: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    """Shrink by `scale` with cubic spline interpolation at the coarse voxel centres, without antialiasing."""
    height, width = (length // scale for length in image.shape)
    whole = image[: height * scale, : width * scale]
    return zoom(whole, 1 / scale, order=3, mode="nearest", grid_mode=True).astype(np.float32)
