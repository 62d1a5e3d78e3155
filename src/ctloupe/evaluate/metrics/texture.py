"""The texture of a volume, whatever it shows, gathered slice by slice; and how far two textures lie apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from ctloupe.evaluate.metrics.base import MICRO, Accumulator, Metric
from ctloupe.evaluate.metrics.hu_moments import hu_moments, minimum_hu_distance
from ctloupe.evaluate.metrics.questions import TEXTURE
from ctloupe.evaluate.metrics.sliced_wasserstein import laplacian_levels, sample_patches, sliced_wasserstein
from ctloupe.evaluate.metrics.spectrum import power_spectrum_distance
from ctloupe.evaluate.metrics.told import Patches
from ctloupe.evaluate.slices import counted_squares, detailed_slices
from ctloupe.images.spectrum import radial_power
from ctloupe.images.windows import IntensityWindow
from ctloupe.phantom.clinical_slices import labels_on_clinical_slices
from ctloupe.volume.geometry import relative_difference
from ctloupe.volume.volume import Volume

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Setting

TILE: Final = 64
"""Side in pixels of the squares that power spectra are taken of."""

TILES_PER_SLICE: Final = 8
PATCHES_PER_SLICE: Final = 512
WINDOW: Final = 512
"""Side in pixels of the part of a larger slice that tiles and patches are drawn from."""

RESAMPLING_TOLERANCE: Final = 0.02
"""Largest relative difference of pixels at which a µCT is taken as it is."""

Plane = NDArray[Any]
Flags = NDArray[np.bool_]


class Texture:
    """Power spectrum, Laplacian patches and Hu moments of the slices that were added.

    Parameters
    ----------
    seed
        Seed of the choice of tiles and patches.
    learnt
        Whether a classifier is to learn from it.

    Attributes
    ----------
    patches
        What a classifier learns from; none where it is not to.
    """

    def __init__(self, seed: int = 0, learnt: bool = True) -> None:
        self._random, self._learnt = np.random.default_rng(seed), learnt
        self.patches = Patches()
        self._power: NDArray[np.float64] = np.zeros(1)
        self._tiles = 0
        self._patches: list[list[NDArray[np.float64]]] = []
        self._moments: list[NDArray[np.float64]] = []

    def add(self, unit: Plane, inside: Flags | None = None, detailed: bool = True) -> None:
        """Take a slice in [−1, 1] into account; `inside` says which pixels count, and is True for all when None."""
        mass = (unit + 1) / 2
        self._moments.append(hu_moments((mass if inside is None else np.where(inside, mass, 0))[None]))
        inside = np.ones(unit.shape, bool) if inside is None else inside
        if not detailed or not inside.any():
            return
        if self._learnt:
            self.patches.add(unit, inside)
        unit, inside = self._window(unit, inside)
        for top, left in self._places(inside, TILE, TILES_PER_SLICE):
            self._power = self._power + radial_power(unit[top : top + TILE, left : left + TILE], TILE // 2)
            self._tiles += 1
        drawn = []
        for level, plane in enumerate(laplacian_levels(unit)):
            step = 1 << level
            drawn.append(sample_patches(plane, PATCHES_PER_SLICE, self._random, inside[::step, ::step]))
        self._patches.append(drawn)

    def _window(self, unit: Plane, inside: Flags) -> tuple[Plane, Flags]:
        """A square of at most 512 pixels around a random pixel that counts: texture needs no more, and time does."""
        if max(unit.shape) <= WINDOW:
            return unit, inside
        rows = np.flatnonzero(inside.any(1))
        row = int(self._random.choice(rows))
        column = int(self._random.choice(np.flatnonzero(inside[row])))
        top, left = (
            int(np.clip(at - WINDOW // 2, 0, max(0, length - WINDOW)))
            for at, length in zip((row, column), unit.shape, strict=True)
        )
        place = slice(top, top + WINDOW), slice(left, left + WINDOW)
        return unit[place], inside[place]

    def _places(self, inside: Flags, side: int, count: int) -> NDArray[np.intp]:
        """Corners of random squares wholly inside, at most `count`."""
        if min(inside.shape) < side:
            return np.empty((0, 2), np.intp)
        corners = np.argwhere(counted_squares(inside, side) == side * side)
        if len(corners) > count:
            corners = corners[self._random.choice(len(corners), count, replace=False)]
        return corners

    @property
    def power(self) -> NDArray[np.float64]:
        """Mean radial power spectrum of the tiles; empty when none fitted inside."""
        return self._power / self._tiles if self._tiles else np.empty(0)

    def spectrum_distance(self, other: Texture) -> float:
        """Distance of the power spectra of the tiles in dB; NaN where no tile was drawn."""
        return power_spectrum_distance(self.power, other.power) if len(self.power) and len(other.power) else np.nan

    def hu_distance(self, other: Texture) -> float:
        """Minimum Hu-moment distance I2 of the slices to those of `other`."""
        return minimum_hu_distance(np.concatenate(self._moments), np.concatenate(other._moments))

    def wasserstein(self, other: Texture) -> float:
        """Sliced Wasserstein distance of the patches, in standard deviations of each level; NaN without patches."""
        found = []
        for mine, theirs in zip(zip(*self._patches, strict=True), zip(*other._patches, strict=True), strict=True):
            real = np.concatenate(theirs)
            if len(real) and sum(map(len, mine)):
                found.append(sliced_wasserstein(np.concatenate(mine), real) / max(real.std(), 1e-12))
        return float(np.mean(found)) if found else float("nan")


@dataclass(frozen=True)
class Unpaired:
    """Texture of a µCT of whatever anatomy, and the window that brings enhanced volumes to the same [−1, 1]."""

    texture: Texture
    clinical_window: IntensityWindow


def texture_of(micro: Volume, window: IntensityWindow, spacing: tuple[float, float], seed: int = 0) -> Texture:
    """Texture of a µCT at the pixels of the enhanced volume, one slice in memory at a time.

    Parameters
    ----------
    micro
        The µCT in its own units.
    window
        Window that brings them to [−1, 1].
    spacing
        (y, x) mm of the enhanced volume; slices of other pixels are resampled to it, smoothed before they shrink.
    seed
        Seed of the choice of patches.
    """
    texture = Texture(seed)
    factors = (micro.spacing[1] / spacing[0], micro.spacing[2] / spacing[1])
    chosen = detailed_slices(np.arange(micro.shape[0]))
    for z in range(micro.shape[0]):
        unit = window.to_unit(np.asarray(micro.data[z]))
        if relative_difference(micro.spacing[1:], spacing) > RESAMPLING_TOLERANCE:
            blur = [max(0.0, 0.5 * (1 / factor - 1)) for factor in factors]
            unit = zoom(gaussian_filter(unit, blur), factors, order=1, mode="nearest", grid_mode=True)
        texture.add(unit, detailed=z in chosen)
    return texture


def in_hu(micro: Volume, scan: Volume, micro_window: IntensityWindow, clinical_window: IntensityWindow) -> Volume:
    """A body's own µCT as an enhancer could have made it: on the slices of its scan, in HU by the two windows.

    Parameters
    ----------
    micro
        The µCT of the same body, on the fine grid.
    scan
        The clinical CT.
    micro_window, clinical_window
        Windows that bring both to the same [−1, 1].
    """
    # The one nearest slice: the mean of two would have less noise than a µCT has.
    there = labels_on_clinical_slices(micro, scan)
    planes = [clinical_window.from_unit(micro_window.to_unit(np.asarray(there.data[z]))) for z in range(scan.shape[0])]
    return there.with_data(np.stack(planes), "µCT in HU", modality="clinical", units="HU")


class TextureOfImage(Accumulator):
    """Texture of an image inside the mask, beside that of the setting's µCT."""

    def __init__(self, setting: Setting) -> None:
        if setting.unpaired is None:
            raise ValueError("no µCT is known; a metric that uses it has to say that it needs it")
        self._unpaired = setting.unpaired
        # Whether an image can be told from the µCT is asked elsewhere.
        self._own = Texture(learnt=False)

    def add(self, seen: ImageSlice) -> None:
        """Take a slice in HU into account."""
        unit = self._unpaired.clinical_window.to_unit(seen.plane)
        self._own.add(unit, seen.reference.inside, seen.reference.detailed)

    def spectrum_distance(self) -> float:
        """Distance of the power spectra in dB."""
        return self._own.spectrum_distance(self._unpaired.texture)

    def wasserstein(self) -> float:
        """Sliced Wasserstein distance of the patches."""
        return self._own.wasserstein(self._unpaired.texture)

    def hu_distance(self) -> float:
        """Minimum Hu-moment distance."""
        return self._own.hu_distance(self._unpaired.texture)


SPECTRUM_DISTANCE_TO_MICRO: Final = Metric(
    key="spectrum_distance_to_micro_db",
    label="spectrum distance to µCT (dB)",
    unit="dB",
    meaning="mean absolute difference of the power spectra of SR and unpaired µCT, both mapped to [−1, 1] by their "
    "windows, over tiles inside the mask; 0 is the same texture",
    better="less",
    question=TEXTURE,
    needs=MICRO,
    ideal=0.0,
    accumulator=TextureOfImage,
    read=TextureOfImage.spectrum_distance,
)
WASSERSTEIN_TO_MICRO: Final = Metric(
    key="sliced_wasserstein_to_micro",
    label="sliced Wasserstein to µCT",
    unit="",
    meaning="mean over three Laplacian levels of the sliced Wasserstein distance between 7×7 patches of SR and "
    "unpaired µCT, in standard deviations of the µCT's level; 0 is the same texture",
    better="less",
    question=TEXTURE,
    needs=MICRO,
    ideal=0.0,
    in_summary=False,
    accumulator=TextureOfImage,
    read=TextureOfImage.wasserstein,
)
HU_DISTANCE: Final = Metric(
    key="m_hum_i2",
    label="m-HuM (I2)",
    unit="",
    meaning="ISBI 2021, Eq. 5: distance I2 of the Hu moments of each enhanced slice to the nearest µCT slice, "
    "averaged; 0 is identical",
    better="less",
    question=TEXTURE,
    needs=MICRO,
    ideal=0.0,
    in_summary=False,
    accumulator=TextureOfImage,
    read=TextureOfImage.hu_distance,
)
TEXTURE_OF_MICRO: Final = (SPECTRUM_DISTANCE_TO_MICRO, WASSERSTEIN_TO_MICRO, HU_DISTANCE)
"""Whether the image looks like µCT."""

HU_DISTANCE_OF_ISBI: Final = Metric(
    key="m_hum",
    label="m-HuM",
    unit="",
    meaning="ISBI 2021, Eq. 5: distance I2 of Hu moments of each enhanced slice to the nearest µCT slice of whatever "
    "anatomy, averaged over slices; 0 is identical",
    better="less",
    question=TEXTURE,
    needs=MICRO,
    ideal=0.0,
    accumulator=TextureOfImage,
    read=TextureOfImage.hu_distance,
)
"""The same of whole slices, as the protocol of ISBI 2021 has it."""
