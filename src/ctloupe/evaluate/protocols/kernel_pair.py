"""Protocol ``kernel-pair``: two reconstructions of one acquisition, and whether an enhancer gives them one answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from ctloupe.evaluate.alignment import aligned_scale, require_fine_grid, with_baseline
from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.metrics.kernel_pair import KERNEL_PAIR
from ctloupe.evaluate.protocols.base import Protocol
from ctloupe.evaluate.protocols.measuring import Measuring
from ctloupe.evaluate.slices import Flags, Reference, Setting
from ctloupe.foundation.errors import OptionError
from ctloupe.volume.digest import digest_of
from ctloupe.volume.volume import Volume

KERNEL_PAIR_PROTOCOL: Final = Protocol("kernel-pair", 1, "another reconstruction of the same acquisition", KERNEL_PAIR)


def compare_kernel_pair(
    scans: tuple[Volume, Volume],
    enhanced: Mapping[str, tuple[Volume, Volume]],
    mask: Flags | None = None,
) -> Comparison:
    """Compare what was made of two reconstructions of one acquisition; bicubic is the first row.

    Parameters
    ----------
    scans
        Both reconstructions, on one grid.
    enhanced
        What was made of each, by row name, on the s-times finer grid of the scans.
    mask : bool on the grid of the scans
        Where to compare, for instance the lungs; None: everywhere.

    Raises
    ------
    OptionError
        If nothing is enhanced or the mask is empty.
    GeometryError
        If the grids do not belong together.
    """
    scan, other = scans
    require_fine_grid(scan, other, 1, "`other_input`")
    if not enhanced:
        raise OptionError("nothing to compare: give `output` and `other_output`")
    answers: list[dict[str, Volume]] = [{name: pair[at] for name, pair in enhanced.items()} for at in (0, 1)]
    scale = aligned_scale(scan, answers[0], {f"{name} of the other": one for name, one in answers[1].items()})
    rows, others = (with_baseline(one, made, scale) for one, made in zip(scans, answers, strict=True))
    setting = Setting.of(scan.shape, next(iter(answers[0].values())), mask, known=frozenset({"scan", "pair"}))
    measuring = Measuring(KERNEL_PAIR_PROTOCOL.metrics, setting, rows)
    for z in setting.shown:
        planes = (np.asarray(one.data[z], np.float32) for one in scans)
        reference = Reference(setting, int(z), next(planes), other_scan=next(planes))
        measuring.add(
            reference,
            ((np.asarray(one.data[z], np.float32), one.spacing[1]) for one in rows.values()),
            (np.asarray(one.data[z], np.float32) for one in others.values()),
        )
    return KERNEL_PAIR_PROTOCOL.comparison(
        measuring.rows(),
        facts={"scale": scale, "slices": scan.shape[0], "voxels_compared": setting.voxels},
        data={"scan": digest_of(scan), "other scan": digest_of(other)},
        models={name: {"history": list(pair[0].history)} for name, pair in enhanced.items()},
    )
