"""Is what was written the engine's own numbers?"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.enhance.slice_enhancer import SliceEnhancer
from ctloupe.export.record import IMAGE
from ctloupe.export.targets.base import Arrays, Run
from ctloupe.volume.volume import Volume

LARGEST: Final = 1.0
"""Difference in HU that is accepted; half of one comes from the engine's rounding to whole HU."""

_SIDES: Final = ((40, 48), (33, 37))
"""Rows and columns of the patches; the second are whole multiples of nothing."""


def largest_difference(run: Run, told: Arrays, engine: SliceEnhancer, scan: Volume) -> float:
    """Compare an exported file with the engine on patches of a scan, each taken for a whole image.

    Parameters
    ----------
    run
        The file, loaded by its own program.
    told
        Its inputs beside the image.
    engine
        What enhances the same scan here, in float32.
    scan
        The scan.

    Returns
    -------
    float
        Largest absolute difference in HU.
    """
    found = []
    for count, (rows, columns) in enumerate(_SIDES, 1):
        patches = [_patch(scan, engine.neighbours, rows, columns, shift) for shift in range(count)]
        expected = np.stack(
            [engine.enhance(patch[0] if len(patch) == 1 else patch, None, 0).values for patch in patches]
        )
        made = run({IMAGE: np.stack(patches), **told})
        if made.shape != (count, 1, *expected.shape[1:]):
            return float("inf")
        off = np.abs(made[:, 0].astype(np.float64) - expected)
        found.append(float(off.max()) if np.isfinite(off).all() else float("inf"))
    return max(found)


def _patch(scan: Volume, neighbours: int, rows: int, columns: int, shift: int) -> NDArray[np.float32]:
    """A patch around the middle of the scan, moved by some voxels, of one slice or of three."""
    middle = scan.shape[0] // 2
    slices = [min(max(0, middle + step), scan.shape[0] - 1) for step in range(-neighbours, neighbours + 1)]
    top, left = (
        max(0, (whole - side) // 2 - shift) for whole, side in zip(scan.shape[1:], (rows, columns), strict=True)
    )
    place = slice(top, top + rows), slice(left, left + columns)
    return np.stack([np.asarray(scan.data[z])[place] for z in slices]).astype(np.float32)
