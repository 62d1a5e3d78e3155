"""Protocol ``no-truth``: what can be said of a real scan's enhancement, where nobody knows the truth."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.alignment import aligned_scale, with_baseline
from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.consistency import ConsistencySum
from ctloupe.evaluate.decorrelation import decorrelation_resolution
from ctloupe.evaluate.recipes import NO_TRUTH
from ctloupe.evaluate.texture import TILE, Texture, Unpaired, detailed_slices
from ctloupe.volume.digest import digest_of
from ctloupe.volume.errors import OptionError
from ctloupe.volume.volume import Volume

SQUARE: Final = 512
"""Largest side in pixels of the part that decorrelation looks at, where the mask is fullest."""


def compare_without_truth(
    scan: Volume,
    enhanced: dict[str, Volume],
    mask: NDArray[np.bool_] | None = None,
    unpaired: Unpaired | None = None,
) -> Comparison:
    """Compare enhanced volumes with the scan they came from; bicubic is the first row.

    Parameters
    ----------
    scan, enhanced, mask, unpaired
        As in `paired_phantom.compare_with_truth`.

    Raises
    ------
    OptionError
        If nothing is enhanced or the mask is empty.
    GeometryError
        If the grids do not belong together.
    """
    scale = aligned_scale(scan, enhanced)
    where = np.ones(scan.shape, bool) if mask is None else mask
    shown = np.flatnonzero(where.any((1, 2)))
    if not shown.size:
        raise OptionError("the mask is empty: there is nothing to compare")
    detailed = detailed_slices(shown)
    rows = {}
    for name, volume in with_baseline(scan, enhanced, scale).items():
        kept, texture, finest = ConsistencySum(scale), Texture(), []
        for z in shown:
            plane = np.asarray(volume.data[z], np.float32)
            kept.add(plane, np.asarray(scan.data[z], np.float32), where[z])
            if unpaired is not None:
                inside = None if mask is None else mask[z].repeat(scale, 0).repeat(scale, 1)
                texture.add(unpaired.clinical_window.to_unit(plane), inside, int(z) in detailed)
            if int(z) in detailed:
                finest.append(decorrelation_resolution(_fullest(plane, where[z], scale), volume.spacing[1]))
        found = kept.result()
        rows[name] = {
            "consistency RMS (HU)": found.rms_hu,
            "consistency bias (HU)": found.bias_hu,
            "decorrelation resolution (mm)": _median(finest),
        }
        if unpaired is not None:
            rows[name] |= texture.distances(unpaired.texture)
    facts = {
        "scale": scale,
        "slices": scan.shape[0],
        "voxels_compared": int(where.sum()) * scale**2,
        "clinical_spacing_mm": list(scan.spacing),
    }
    models = {name: {"history": list(volume.history)} for name, volume in enhanced.items()}
    return NO_TRUTH.comparison(rows, facts=facts, data={"scan": digest_of(scan)}, models=models)


def _fullest(plane: NDArray[np.float32], mask: NDArray[np.bool_], scale: int) -> NDArray[np.float32]:
    """Square of the slice that holds the most mask, on the fine grid."""
    side = max(TILE // scale, min(SQUARE // scale, *mask.shape))
    side = min(side, *mask.shape)
    total = np.pad(mask.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    full = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    top, left = np.unravel_index(int(np.argmax(full)), full.shape)
    return plane[top * scale : (top + side) * scale, left * scale : (left + side) * scale]


def _median(values: list[float]) -> float:
    """Median of the slices that have a value; NaN when most have none."""
    found = [value for value in values if np.isfinite(value)]
    return float(np.median(found)) if 2 * len(found) > len(values) else float("nan")
