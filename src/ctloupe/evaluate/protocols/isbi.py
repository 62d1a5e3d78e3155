"""Protocol ``isbi``: minimum Hu-moment distance to unpaired µCT."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.alignment import scale_between, with_baseline
from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.metrics.hu_moments import hu_moments, minimum_hu_distance
from ctloupe.evaluate.protocols.recipes import ISBI
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.digest import digest_of
from ctloupe.volume.volume import Volume


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
    everything = with_baseline(scan, enhanced, scale)
    rows = {
        name: {"m-HuM": minimum_hu_distance(_hu_moments_of(volume, clinical_window), theirs)}
        for name, volume in everything.items()
    }
    facts = {"scale": scale, "slices": scan.shape[0], "micro_slices": specimen.shape[0]}
    return ISBI.comparison(rows, facts=facts, data={"scan": digest_of(scan), "micro": digest_of(specimen)})


def _hu_moments_of(volume: Volume, window: IntensityWindow) -> NDArray[np.float64]:
    """Hu moments slice by slice, so that the volume is never held whole."""
    units = (window.to_unit(np.asarray(volume.data[z])) for z in range(volume.shape[0]))
    return np.concatenate([hu_moments((unit[None] + 1) / 2) for unit in units])
