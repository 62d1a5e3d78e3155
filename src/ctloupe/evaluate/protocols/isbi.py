"""Protocol ``isbi``: minimum Hu-moment distance to unpaired µCT."""

from __future__ import annotations

from typing import Final

import numpy as np

from ctloupe.evaluate.alignment import scale_between, with_baseline
from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.metrics.texture import HU_DISTANCE_OF_ISBI, Texture, Unpaired
from ctloupe.evaluate.protocols.base import Protocol
from ctloupe.evaluate.protocols.measuring import Measuring
from ctloupe.evaluate.slices import Reference, Setting
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.digest import digest_of
from ctloupe.volume.volume import Volume

ISBI: Final = Protocol("isbi", 1, "unpaired µCT slices (ISBI 2021)", (HU_DISTANCE_OF_ISBI,))


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
        Enhanced volumes by row name, on the s-times finer grid of `scan`; a bicubic row is put first.
    scan
        The clinical CT.
    specimen
        A µCT of whatever anatomy.
    clinical_window, micro_window
        Windows that bring both to [0, 1].
    """
    scale = scale_between(scan, next(iter(enhanced.values())))
    images = with_baseline(scan, enhanced, scale)
    texture = Texture()
    for z in range(specimen.shape[0]):
        texture.add(micro_window.to_unit(np.asarray(specimen.data[z])), detailed=False)
    spacing = scan.spacing[1] / scale, scan.spacing[2] / scale
    unpaired = Unpaired(texture, clinical_window)
    setting = Setting(scale, scan.shape[0], spacing, frozenset({"scan", "micro"}), unpaired=unpaired)
    measuring = Measuring(ISBI.metrics, setting, images)
    for z in range(scan.shape[0]):
        reference = Reference(setting, z, np.asarray(scan.data[z], np.float32))
        planes = ((np.asarray(volume.data[z]), volume.spacing[1]) for volume in images.values())
        measuring.add(reference, planes)
    facts = {"scale": scale, "slices": scan.shape[0], "micro_slices": specimen.shape[0]}
    data = {"scan": digest_of(scan), "micro": digest_of(specimen)}
    return ISBI.comparison(measuring.rows(), facts=facts, data=data)
