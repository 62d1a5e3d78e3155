"""Enhanced volumes of one scan, compared by every metric of a protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ctloupe.evaluate.alignment import aligned_scale, with_baseline
from ctloupe.evaluate.case_scanner import CaseScanner, scanner_of_case
from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.metrics.base import Need
from ctloupe.evaluate.metrics.texture import Unpaired
from ctloupe.evaluate.metrics.trees import trees_in_words
from ctloupe.evaluate.protocols.base import Protocol
from ctloupe.evaluate.protocols.measuring import Measuring
from ctloupe.evaluate.slices import Flags, Reference, Setting
from ctloupe.foundation.progress import tracked
from ctloupe.phantom.anatomies.registry import of_labels
from ctloupe.volume.digest import digest_of
from ctloupe.volume.volume import Volume


def compare_case(
    protocol: Protocol,
    scan: Volume,
    enhanced: Mapping[str, Volume],
    mask: Flags | None = None,
    truth: Volume | None = None,
    labels: Volume | None = None,
    unpaired: Unpaired | None = None,
    thick_truth: Volume | None = None,
    scanner: CaseScanner | None = None,
    micro_truth: Volume | None = None,
) -> Comparison:
    """Compare enhanced volumes with all that is known of their scan; bicubic is the first row.

    One slice of each volume is in memory at a time.

    Parameters
    ----------
    protocol
        Says which metrics.
    scan
        The clinical CT that was enhanced, or the same part of it.
    enhanced
        Volumes on the s-times finer grid of `scan`, by row name.
    mask : bool on the grid of `scan`
        Where to compare; None: everywhere.
    truth, labels
        Truth and label numbers on the fine grid, where they are known.
    unpaired
        Texture of a µCT, where there is one.
    thick_truth
        The truth averaged over the slices of the scan, where it is known apart from a thinner `truth`.
    scanner
        What made the scan, where that is known; None: it is found.
    micro_truth
        The truth as the µCT shows it, in HU, where it was scanned.

    Raises
    ------
    OptionError
        If nothing is enhanced or the mask is empty.
    GeometryError
        If the grids do not belong together.
    """
    fine_volumes = {"truth": truth, "`labels`": labels, "thick truth": thick_truth, "µCT of the truth": micro_truth}
    scale = aligned_scale(scan, dict(enhanced), {name: one for name, one in fine_volumes.items() if one is not None})
    images = with_baseline(scan, dict(enhanced), scale)
    fine = truth if truth is not None else next(iter(enhanced.values()))
    setting = _setting(scan, fine, mask, truth, labels, unpaired)
    thick = truth if thick_truth is None else thick_truth
    setting = replace(setting, scanner=scanner or scanner_of_case(scan, setting, thick))
    measuring = Measuring(protocol.metrics, setting, images)
    for z in tracked(setting.shown.tolist(), "measuring"):
        real, slab, scanned = (
            None if one is None else _float(one.data[z]) for one in (truth, thick_truth, micro_truth)
        )
        marked = None if labels is None else np.asarray(labels.data[z])
        reference = Reference(setting, int(z), _float(scan.data[z]), real, marked, slab, scanned)
        measuring.add(reference, ((_float(volume.data[z]), volume.spacing[1]) for volume in images.values()))
    known = {"scan": scan, "truth": truth, "labels": labels}
    return protocol.comparison(
        measuring.rows(),
        facts=_facts(setting, scan, measuring),
        limits=measuring.limits(),
        data={role: digest_of(volume) for role, volume in known.items() if volume is not None},
        models={name: {"history": list(volume.history)} for name, volume in enhanced.items()},
        curves=measuring.curves(),
    )


def _float(plane: Any) -> Any:
    return np.asarray(plane, np.float32)


def _setting(
    scan: Volume,
    fine: Volume,
    mask: Flags | None,
    truth: Volume | None,
    labels: Volume | None,
    unpaired: Unpaired | None,
) -> Setting:
    given: dict[Need, Any] = {"scan": scan, "truth": truth, "labels": labels, "micro": unpaired}
    known = frozenset(need for need, one in given.items() if one is not None)
    setting = Setting.of(scan.shape, fine, mask, known=known, unpaired=unpaired)
    if labels is None:
        return setting
    middle = int(setting.shown[len(setting.shown) // 2])
    return replace(setting, anatomy=of_labels(np.unique(np.asarray(labels.data[middle])).tolist()))


def _facts(setting: Setting, scan: Volume, measuring: Measuring) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "scale": setting.scale,
        "slices": scan.shape[0],
        "voxels_compared": setting.voxels,
        "clinical_spacing_mm": list(scan.spacing),
    }
    if setting.scanner is not None:
        facts["scanner"] = setting.scanner.as_dict()
    slices, sizes = measuring.slice_by_slice(), measuring.by_size()
    if intervals := measuring.intervals():
        facts["intervals"] = intervals
    if slices:
        facts["slice by slice"] = slices
    if setting.rules:
        facts["rules"] = [rule.in_words() for rule in setting.rules]
    if trees := trees_in_words(setting):
        facts["trees"] = trees
    if sizes:
        facts["by size"] = sizes
    return facts
