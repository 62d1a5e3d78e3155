"""What the patches of a training look like, so that a scan unlike them can be recognised."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctloupe.images.likeness import PATCHES, PERCENTS, image_statistics_of, spread_of
from ctloupe.methods.package import Fingerprint
from ctloupe.prepare.patches import PatchBank


def fingerprint_of(clinical: PatchBank, micro: PatchBank) -> Fingerprint:
    """Describe the patches of both banks, and how far the clinical volumes differ among themselves."""
    whole = image_statistics_of(_in_window(clinical, slice(None)), _pair(clinical))
    volumes, first = [], 0
    for one in clinical.provenance:
        last = first + int(one.get("patches", 0))
        if last > first:
            volumes.append(image_statistics_of(_in_window(clinical, slice(first, last)), _pair(clinical)))
        first = last
    spread = spread_of(volumes)
    return Fingerprint(
        clinical_spacing=_pair(clinical),
        micro_spacing=_pair(micro),
        clinical_percentiles=whole.percentiles,
        micro_percentiles=_percentiles(micro),
        patches={"clinical": len(clinical.patches), "micro": len(micro.patches)},
        clinical_power=whole.power,
        clinical_spread=(spread.intensity, spread.noise, spread.kernel),
    )


def _in_window(bank: PatchBank, which: slice) -> NDArray[np.float32]:
    """Return at most `PATCHES` patches in HU, cut off at the window as the network sees them."""
    stored = bank.patches[which]
    stored = stored[:: max(1, len(stored) // PATCHES)]
    values = stored.astype(np.float32) * np.float32(bank.slope) + np.float32(bank.intercept)
    return values.clip(bank.window.low, bank.window.high)


def _pair(bank: PatchBank) -> tuple[float, float]:
    return float(bank.spacing[0]), float(bank.spacing[1])


def _percentiles(bank: PatchBank) -> dict[str, float]:
    every = max(1, bank.patches.size // 4_000_000)
    stored = np.percentile(bank.patches.reshape(-1)[::every], PERCENTS)
    values = stored * bank.slope + bank.intercept
    return {str(percent): round(float(value), 3) for percent, value in zip(PERCENTS, values, strict=True)}
