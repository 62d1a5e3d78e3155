"""What a volume looks like, whatever it shows, gathered slice by slice; and how far two such looks lie apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from ctloupe.evaluate.metrics.hu_moments import hu_moments, minimum_hu_distance
from ctloupe.evaluate.metrics.realism import (
    laplacian_levels,
    power_spectrum_distance,
    sample_patches,
    sliced_wasserstein,
)
from ctloupe.images.spectrum import radial_power
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.volume import Volume

TILE: Final = 64
"""Side in pixels of the squares that power spectra are taken of."""

TILES_PER_SLICE: Final = 8
PATCHES_PER_SLICE: Final = 512
WINDOW: Final = 512
"""Side in pixels of the part of a larger slice that tiles and patches are drawn from."""

DETAILED_SLICES: Final = 16
"""Slices, evenly spread, that tiles and patches are drawn from; Hu moments are of all."""

SPACING_TOLERANCE: Final = 0.02

Plane = NDArray[Any]
Flags = NDArray[np.bool_]


class Texture:
    """Power spectrum, Laplacian patches and Hu moments of the slices that were added.

    Parameters
    ----------
    seed
        Of the choice of tiles and patches.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._power: NDArray[np.float64] = np.zeros(1)
        self._tiles = 0
        self._patches: list[list[NDArray[np.float64]]] = []
        self._moments: list[NDArray[np.float64]] = []

    def add(self, unit: Plane, inside: Flags | None = None, detailed: bool = True) -> None:
        """Take a slice in [−1, 1] into account; `inside` says which pixels count, and is True for all when None."""
        inside = np.ones(unit.shape, bool) if inside is None else inside
        self._moments.append(hu_moments(np.where(inside, (unit + 1) / 2, 0)[None]))
        if not detailed or not inside.any():
            return
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

    def distances(self, other: Texture) -> dict[str, float]:
        """How far this look is from that of µCT, as the protocols name the numbers; NaN where nothing was drawn."""
        spectra = self.power, other.power
        return {
            "spectrum distance to µCT (dB)": power_spectrum_distance(*spectra) if all(map(len, spectra)) else np.nan,
            "sliced Wasserstein to µCT": self._wasserstein(other),
            "m-HuM (I2)": minimum_hu_distance(np.concatenate(self._moments), np.concatenate(other._moments)),
        }

    def _wasserstein(self, other: Texture) -> float:
        found = []
        for mine, theirs in zip(zip(*self._patches, strict=True), zip(*other._patches, strict=True), strict=True):
            real = np.concatenate(theirs)
            if len(real) and sum(map(len, mine)):
                found.append(sliced_wasserstein(np.concatenate(mine), real) / max(real.std(), 1e-12))
        return float(np.mean(found)) if found else float("nan")


@dataclass(frozen=True)
class Unpaired:
    """Look of a µCT of whatever anatomy, and the window that brings enhanced volumes to the same [−1, 1]."""

    texture: Texture
    clinical_window: IntensityWindow


def texture_of(micro: Volume, window: IntensityWindow, spacing: tuple[float, float], seed: int = 0) -> Texture:
    """Look of a µCT at the pixels of the enhanced volume, one slice in memory at a time.

    Parameters
    ----------
    micro
        In its own units.
    window
        Brings them to [−1, 1].
    spacing
        (y, x) mm of the enhanced volume; slices of other pixels are resampled to it, smoothed before they shrink.
    seed
        Of the choice of patches.
    """
    texture = Texture(seed)
    factors = (micro.spacing[1] / spacing[0], micro.spacing[2] / spacing[1])
    chosen = detailed_slices(np.arange(micro.shape[0]))
    for z in range(micro.shape[0]):
        unit = window.to_unit(np.asarray(micro.data[z]))
        if max(abs(factor - 1) for factor in factors) > SPACING_TOLERANCE:
            blur = [max(0.0, 0.5 * (1 / factor - 1)) for factor in factors]
            unit = zoom(gaussian_filter(unit, blur), factors, order=1, mode="nearest", grid_mode=True)
        texture.add(unit, detailed=z in chosen)
    return texture


def counted_squares(flags: Flags, side: int) -> NDArray[np.int64]:
    """How many flags are set in the square of `side` pixels from each corner where one fits."""
    total = np.pad(flags.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    found: NDArray[np.int64] = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    return found


def detailed_slices(shown: NDArray[np.intp]) -> set[int]:
    """At most 16 evenly spread ones of these slice numbers."""
    if not len(shown):
        return set()
    return {int(shown[at]) for at in np.linspace(0, len(shown) - 1, DETAILED_SLICES).astype(int)}
