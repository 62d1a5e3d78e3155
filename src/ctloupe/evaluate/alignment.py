"""Do the volumes of a comparison belong together? And the baseline that is always compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.comparison import BASELINE
from ctloupe.foundation.errors import GeometryError, OptionError
from ctloupe.volume.geometry import refined_grid, same_direction, same_spacing
from ctloupe.volume.volume import Volume


def interpolated(scan: Volume, scale: int, mask: NDArray[np.bool_] | None = None) -> Volume:
    """Bicubic row of every table: `scan` enlarged without a model."""
    return load_model("bicubic", scale).enhanced_lazily(scan, mask)


def with_baseline(scan: Volume, enhanced: dict[str, Volume], scale: int) -> dict[str, Volume]:
    """The enhanced volumes, after the bicubic one."""
    return {BASELINE: interpolated(scan, scale)} | enhanced


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
            f"`output` has shape {fine.shape}, which is no whole in-plane multiple of the input's {scan.shape}; "
            "give the volume that was made from this input (crop the input with the same `slices` or `roi`)"
        )
    return scale


def aligned_scale(scan: Volume, enhanced: dict[str, Volume], others: dict[str, Volume] | None = None) -> int:
    """Scale of the enhanced volumes, after checking that they and `others` lie on the finer grid of `scan`.

    Raises
    ------
    OptionError
        If there is nothing to compare.
    GeometryError
        If a grid does not belong to the scan.
    """
    if not enhanced:
        raise OptionError("nothing to compare: give at least one enhanced volume")
    scale = scale_between(scan, next(iter(enhanced.values())))
    for name, volume in {**enhanced, **(others or {})}.items():
        require_fine_grid(scan, volume, scale, name)
    return scale


def require_fine_grid(scan: Volume, fine: Volume, scale: int, name: str) -> None:
    """Raise `GeometryError` unless `fine` lies on the `scale` times finer grid of `scan`, to 1% of a voxel."""
    spacing, origin = refined_grid(scan.spacing, scan.origin, scan.direction, scale)
    shape = (scan.shape[0], scan.shape[1] * scale, scan.shape[2] * scale)
    if fine.shape != shape:
        raise GeometryError(f"{name}: shape {fine.shape}, expected {shape} for this input at ×{scale}")
    off = float(np.abs(np.subtract(fine.origin, origin)).max())
    if off > 0.01 * min(spacing) or not same_spacing(fine.spacing, spacing):
        raise GeometryError(
            f"{name}: lies elsewhere than the input at ×{scale} (origin off by {off:.4g} mm, spacing {fine.spacing} "
            f"where {spacing} is expected); compare volumes of the same scan"
        )
    if not same_direction(fine.direction, scan.direction):
        raise GeometryError(f"{name}: is oriented otherwise than the input; compare volumes of the same scan")
