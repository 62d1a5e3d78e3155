"""What a reader has to know before believing an enhanced volume: the model's side of the question."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctloupe.enhance.resolver import SuperResolver
from ctloupe.volume.geometry import SPACING_TOLERANCE, relative_difference
from ctloupe.volume.volume import Volume

CLIPPED_SHARE = 0.001
"""Share of voxels outside the model's window that is mentioned."""


def warnings_for(scan: Volume, mask: NDArray[np.bool_] | None, resolver: SuperResolver) -> tuple[str, ...]:
    """Say what speaks against using this model on this scan; empty when nothing does.

    Parameters
    ----------
    scan
        The clinical CT.
    mask
        Where it is enhanced; None: everywhere.
    resolver
        The model; where each scan has a window of its own and `scan` is a part, with that of the whole one.
    """
    resolver, found = resolver.for_scan(scan), list[str]()
    if resolver.trained_spacing is not None:
        if relative_difference(scan.spacing[1:], resolver.trained_spacing) > SPACING_TOLERANCE:
            trained = "×".join(f"{edge:.3g}" for edge in resolver.trained_spacing)
            found.append(
                f"spacing: the scan has pixels of {scan.spacing[1]:.3g}×{scan.spacing[2]:.3g} mm, the model was "
                f"trained on {trained} mm; structures come out at the wrong size"
            )
        share = _share_outside(scan, mask, (resolver.window.low, resolver.window.high))
        if share > CLIPPED_SHARE:
            found.append(
                f"window: {100 * share:.1f}% of the voxels lie outside the model's {resolver.window.low:g} … "
                f"{resolver.window.high:g} HU and are cut off there"
            )
    unlike = resolver.unlikeness(scan, mask)
    if unlike is not None and unlike.lines:
        found.append(unlike.in_words().removeprefix("warning: "))
    return tuple(found)


def _share_outside(scan: Volume, mask: NDArray[np.bool_] | None, window: tuple[float, float]) -> float:
    outside = voxels = 0
    for z in range(scan.shape[0]):
        plane = np.asarray(scan.data[z])
        values = plane.ravel() if mask is None else plane[mask[z]]
        outside += int(((values < window[0]) | (values > window[1])).sum())
        voxels += values.size
    return outside / voxels if voxels else 0.0
