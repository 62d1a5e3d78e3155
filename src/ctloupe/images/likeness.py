"""Whether a scan is like the data a model was trained on: intensity, noise, kernel and spacing, in words.

A network says something for every input. What it says of a scan that was reconstructed with another kernel, or that
shows no lung, is worth little, and looks as convincing as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.images.spectrum import radial_power
from ctloupe.volume.geometry import relative_difference

PERCENTS: Final = (1, 5, 25, 50, 75, 95, 99)
COMPARED: Final = ("5", "25", "50", "75", "95")
"""Percentiles whose distance counts; the outermost belong to single voxels."""

RINGS: Final = 8
PATCHES: Final = 512
QUIET: Final = 20
"""Percentile over patches at which power is read, low because noise shows where there is little anatomy."""

INTENSITY_HU: Final = 80.0
NOISE_DB: Final = 3.0
KERNEL_DB: Final = 3.0
SPACING: Final = 0.10
"""Differences that are always allowed: 3 dB are twice or half the noise power."""

BETWEEN_VOLUMES: Final = 1.5
"""Factor by which the largest difference among the training volumes may be exceeded, where that allows more."""


@dataclass(frozen=True)
class ImageStatistics:
    """What clinical patches look like.

    Attributes
    ----------
    spacing : (y, x)
        In-plane spacing in mm.
    percentiles
        Intensities in HU by percent.
    power : (8,)
        Lower fifth over patches of the power in rings of spatial frequency up to Nyquist, in dB of HU²; empty when it
        is unknown.
    """

    spacing: tuple[float, float]
    percentiles: dict[str, float]
    power: tuple[float, ...] = ()


@dataclass(frozen=True)
class Spread:
    """Largest differences among training volumes: in HU, in dB of noise, and in dB of fineness."""

    intensity: float = 0.0
    noise: float = 0.0
    kernel: float = 0.0


def image_statistics_of(patches: NDArray[Any], spacing: tuple[float, float]) -> ImageStatistics:
    """Describe patches ``(n, p, p)`` in HU; at most 512 evenly spread ones are looked at."""
    chosen = np.asarray(patches[:: max(1, len(patches) // PATCHES)], np.float32)
    values = np.percentile(chosen, PERCENTS)
    power = np.array([radial_power(patch, RINGS) for patch in chosen])
    return ImageStatistics(
        (float(spacing[0]), float(spacing[1])),
        {str(percent): round(float(value), 3) for percent, value in zip(PERCENTS, values, strict=True)},
        tuple(round(float(value), 3) for value in np.percentile(10 * np.log10(power + 1e-3), QUIET, axis=0)),
    )


def _differences(one: ImageStatistics, other: ImageStatistics) -> tuple[float, float, float]:
    """Return the mean difference of percentiles (HU, absolute), of fine power and of its rise (dB, signed)."""
    intensity = float(np.mean([abs(one.percentiles[at] - other.percentiles[at]) for at in COMPARED]))
    if not (one.power and other.power):
        return intensity, 0.0, 0.0
    off = np.subtract(one.power, other.power)
    return (
        intensity,
        float(off[RINGS // 2 :].mean()),
        float(off[-2:].mean() - off[RINGS // 2 - 1 : RINGS // 2 + 1].mean()),
    )


def spread_of(volumes: Sequence[ImageStatistics]) -> Spread:
    """Return the largest differences between any two training volumes."""
    pairs = [_differences(one, other) for at, one in enumerate(volumes) for other in volumes[at + 1 :]]
    if not pairs:
        return Spread()
    return Spread(*(float(value) for value in np.abs(pairs).max(0)))


@dataclass(frozen=True)
class Unlikeness:
    """How far a scan is from the training data, in units of what is allowed; above 1 is unlike.

    Attributes
    ----------
    intensity, noise, kernel, spacing
        Ratio of each difference to what is allowed.
    lines
        Sentences that say what is unlike; none for a scan like the training data.
    """

    intensity: float
    noise: float
    kernel: float
    spacing: float
    lines: tuple[str, ...]

    @property
    def score(self) -> float:
        """The largest of the four ratios."""
        return max(self.intensity, self.noise, self.kernel, self.spacing)

    def in_words(self) -> str:
        """Return one line with the score."""
        if not self.lines:
            return f"likeness: the scan is like the training data (score {self.score:.2f}; above 1 is unlike)"
        return f"warning: the scan is unlike the training data (score {self.score:.2f}): {'; '.join(self.lines)}"


def unlikeness(scan: ImageStatistics, trained: ImageStatistics, spread: Spread | None = None) -> Unlikeness:
    """Compare the statistics of a scan with those of the training data.

    Parameters
    ----------
    scan, trained
        Statistics from patches of one size.
    spread
        Differences of the training volumes among themselves; None where they are unknown.
    """
    spread = spread or Spread()
    intensity, noise, kernel = _differences(scan, trained)
    allowed = [
        max(least, BETWEEN_VOLUMES * own)
        for least, own in ((INTENSITY_HU, spread.intensity), (NOISE_DB, spread.noise), (KERNEL_DB, spread.kernel))
    ]
    ratio = relative_difference(scan.spacing, trained.spacing)
    scores = intensity / allowed[0], abs(noise) / allowed[1], abs(kernel) / allowed[2], ratio / SPACING
    said = (
        f"intensities differ by {intensity:.0f} HU in the mean (median {scan.percentiles['50']:.0f} HU, trained on "
        f"{trained.percentiles['50']:.0f} HU): another tissue, mask, or contrast?",
        f"fine noise and detail are {abs(noise):.1f} dB {'stronger' if noise > 0 else 'weaker'}: another dose or "
        "kernel?",
        f"the noise is {'finer' if kernel > 0 else 'coarser'} by {abs(kernel):.1f} dB: a "
        f"{'sharper' if kernel > 0 else 'smoother'} reconstruction kernel?",
        f"pixels of {scan.spacing[0]:.3g} mm where {trained.spacing[0]:.3g} mm were trained on: resample the scan",
    )
    return Unlikeness(*scores, tuple(line for line, score in zip(said, scores, strict=True) if score > 1))
