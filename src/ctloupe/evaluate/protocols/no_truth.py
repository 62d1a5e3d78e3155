"""Protocol ``no-truth``: what can be said of a real scan's enhancement, where nobody knows the truth."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.alignment import aligned_scale, with_baseline
from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.metrics.consistency import ConsistencySum
from ctloupe.evaluate.metrics.decorrelation import decorrelation_resolution
from ctloupe.evaluate.metrics.texture import Texture, Unpaired, counted_squares, detailed_slices
from ctloupe.evaluate.protocols.recipes import NO_TRUTH
from ctloupe.foundation.errors import OptionError
from ctloupe.volume.digest import digest_of
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
    everything = with_baseline(scan, enhanced, scale)
    scores = {name: _Score(scale, unpaired) for name in everything}
    for z in shown:
        low = np.asarray(scan.data[z], np.float32)
        inside = None if mask is None else mask[z].repeat(scale, 0).repeat(scale, 1)
        square = _fullest(where[z], scale) if int(z) in detailed else None
        for name, volume in everything.items():
            scores[name].add(np.asarray(volume.data[z], np.float32), low, where[z], inside, square, volume.spacing[1])
    rows = {name: score.numbers() for name, score in scores.items()}
    facts = {
        "scale": scale,
        "slices": scan.shape[0],
        "voxels_compared": int(where.sum()) * scale**2,
        "clinical_spacing_mm": list(scan.spacing),
    }
    models = {name: {"history": list(volume.history)} for name, volume in enhanced.items()}
    return NO_TRUTH.comparison(rows, facts=facts, data={"scan": digest_of(scan)}, models=models)


class _Score:
    """Everything that is summed up of one image."""

    def __init__(self, scale: int, unpaired: Unpaired | None) -> None:
        self._unpaired = unpaired
        self._consistency, self._texture = ConsistencySum(scale), Texture()
        self._finest: list[float] = []

    def add(
        self,
        plane: NDArray[np.float32],
        scan: NDArray[np.float32],
        mask: NDArray[np.bool_],
        inside: NDArray[np.bool_] | None,
        square: tuple[slice, slice] | None,
        spacing: float,
    ) -> None:
        """Take one slice in HU into account; `square` is what is looked at closely, in some slices only."""
        self._consistency.add(plane, scan, mask)
        if self._unpaired is not None:
            self._texture.add(self._unpaired.clinical_window.to_unit(plane), inside, square is not None)
        if square is not None:
            self._finest.append(decorrelation_resolution(plane[square], spacing))

    def numbers(self) -> dict[str, float]:
        """Every metric of the image."""
        kept = self._consistency.result()
        found = {
            "consistency RMS (HU)": kept.rms_hu,
            "consistency bias (HU)": kept.bias_hu,
            "decorrelation resolution (mm)": _median(self._finest),
        }
        return found | (self._texture.distances(self._unpaired.texture) if self._unpaired is not None else {})


def _fullest(mask: NDArray[np.bool_], scale: int) -> tuple[slice, slice]:
    """Square of the slice that holds the most mask, on the fine grid."""
    side = min(SQUARE // scale, *mask.shape)
    full = counted_squares(mask, side)
    top, left = (int(at) * scale for at in np.unravel_index(int(np.argmax(full)), full.shape))
    return slice(top, top + side * scale), slice(left, left + side * scale)


def _median(values: list[float]) -> float:
    """Median of the slices that have a value; NaN when most have none."""
    found = [value for value in values if np.isfinite(value)]
    return float(np.median(found)) if 2 * len(found) > len(values) else float("nan")
