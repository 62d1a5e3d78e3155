"""The page of a comparison: what was compared, in words, numbers and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from ctloupe.evaluate.pictures import Box, View, difference_panel, panel
from ctloupe.evaluate.protocols import Comparison
from ctloupe.evaluate.report import Report
from ctloupe.evaluate.tissues import TissueError
from ctloupe.volume.volume import Volume

LUNG_WINDOW: Final = (-1000.0, 200.0)
DIFFERENCE_HU: Final = 400.0
ZOOM_SHARE: Final = 0.25


def chosen_slice(scan: Volume, mask: NDArray[np.bool_] | None) -> int:
    """Slice that is shown: the one with the most mask, or the middle one."""
    if mask is None or not mask.any():
        return scan.shape[0] // 2
    return int(np.argmax(mask.sum((1, 2))))


def chosen_box(plane: NDArray[np.float32], spacing: tuple[float, float], mask: NDArray[np.bool_] | None) -> Box:
    """Square that is magnified: where the scan varies most inside the mask, a quarter of the shorter side long."""
    pixels = max(4, round(ZOOM_SHARE * min(plane.shape)))
    values = plane.clip(*LUNG_WINDOW)
    spread = uniform_filter(values**2, pixels) - uniform_filter(values, pixels) ** 2
    if mask is not None and mask.any():
        spread = np.where(uniform_filter(mask.astype(np.float32), pixels) > 0.6, spread, -1)
    half = pixels // 2
    inner = spread[half : spread.shape[0] - half, half : spread.shape[1] - half]
    y, x = np.unravel_index(int(np.argmax(inner)), inner.shape)
    return Box(float(y) * spacing[0], float(x) * spacing[1], pixels * min(spacing))


def view_of(caption: str, volume: Volume, z: int, window: tuple[float, float] = LUNG_WINDOW, units: str = "HU") -> View:
    """One slice of a volume, ready to be shown."""
    return View(caption, np.asarray(volume.data[z]), (volume.spacing[1], volume.spacing[2]), window, units)


def add_pictures(
    report: Report,
    scan: Volume,
    rows: Mapping[str, Volume],
    truth: Volume | None,
    mask: NDArray[np.bool_] | None = None,
    extra: View | None = None,
) -> None:
    """Add side-by-side views of one slice, a magnified region, and differences to the truth.

    Parameters
    ----------
    report
        Gets the figures.
    scan
        The clinical CT.
    rows
        Enhanced volumes by name, bicubic first.
    truth
        On the fine grid, when known.
    mask
        On the grid of `scan`; guides the choice of slice and region.
    extra
        One more view of the same physical extent, for instance a real µCT slice.
    """
    z = chosen_slice(scan, mask)
    plane = np.asarray(scan.data[z], dtype=np.float32)
    box = chosen_box(plane, (scan.spacing[1], scan.spacing[2]), None if mask is None else mask[z])
    views = [view_of("scan", scan, z), *(view_of(name, volume, z) for name, volume in rows.items())]
    if truth is not None:
        views.append(view_of("truth", truth, z))
    if extra is not None:
        views.append(extra)
    caption = (
        f"Slice {z}, chosen because {'the mask is largest there' if mask is not None else 'it is the middle one'}; "
        "the yellow square, where the scan varies most, is magnified below. Pixels are not smoothed."
    )
    report.figure(panel(views, zoom=box), caption)
    if truth is not None:
        shown = [view_of(name, volume, z) for name, volume in rows.items()]
        report.figure(
            difference_panel(shown, view_of("truth", truth, z), DIFFERENCE_HU),
            f"Difference to the truth in the same slice, ±{DIFFERENCE_HU:g} HU. Fine alveolar walls cannot be known "
            "from the scan, so some speckle is expected; differences along airways and vessels are errors.",
        )


def add_tissues(report: Report, tissues: Mapping[str, TissueError]) -> None:
    """Add the table of errors by tissue."""
    names = list(next(iter(tissues.values())).mae_hu)
    head = [
        "tissue",
        "voxels",
        "truth (HU)",
        *(f"{name}: bias (HU)" for name in names),
        *(f"{name}: MAE (HU)" for name in names),
    ]
    rows = [
        [
            tissue,
            f"{one.voxels:,}",
            f"{one.truth_hu:.0f}",
            *(f"{one.bias_hu[name]:+.1f}" for name in names),
            *(f"{one.mae_hu[name]:.1f}" for name in names),
        ]
        for tissue, one in tissues.items()
    ]
    report.table(head, rows)


def in_words(comparison: Comparison, name: str) -> str:
    """One paragraph that says how `name` compares with bicubic interpolation, metric by metric."""
    plain, ours = comparison.rows["bicubic"], comparison.rows[name]
    parts = []
    for metric in comparison.definitions:
        lower_is_better = "(HU)" in metric or metric in ("resolution (mm)", "spectrum distance (dB)")
        one, other = (abs(ours[metric]), abs(plain[metric])) if lower_is_better else (ours[metric], plain[metric])
        if np.isclose(one, other, rtol=5e-3):
            verdict = "as good as"
        else:
            verdict = "better than" if (one < other) == lower_is_better else "worse than"
        parts.append(f"{metric} {ours[metric]:.3g}, {verdict} bicubic ({plain[metric]:.3g})")
    return f"{name}: " + "; ".join(parts) + "."


def tissues_in_words(tissues: Mapping[str, TissueError], name: str) -> str:
    """One sentence that says in which tissues `name` is nearer to the truth than bicubic interpolation."""
    nearer = [tissue for tissue, one in tissues.items() if one.mae_hu[name] < one.mae_hu["bicubic"]]
    farther = [tissue for tissue in tissues if tissue not in nearer]
    return (
        f"Mean absolute error against the truth, {name} compared with bicubic: "
        f"smaller in {', '.join(nearer) or 'no tissue'}; larger in {', '.join(farther) or 'no tissue'}."
    )
