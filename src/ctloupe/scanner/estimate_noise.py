"""Level and spectrum of the noise, estimated from the smoothest regions of a scan alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.scanner.noise import (
    NoiseSpectrum,
    high_passed_share,
    not_cut_off,
    plane_frequency,
    radial_spectrum,
    rough_variance,
    smooth_variance,
)

SHAPES: Final = tuple(
    NoiseSpectrum(rise, roll_off) for rise in (0.0, 0.5, 1.0) for roll_off in (0.2, 0.25, 0.3, 0.4, 0.6, 1.0)
)
"""Noise spectra that are tried, here and with µCT."""

_TILE: Final = 16
_SMOOTHEST: Final = 0.05
"""Share of the tiles that count as smooth."""

_FEWEST: Final = 8
_LOWEST: Final = 0.15
"""Frequency in cycles a voxel below which anatomy is stronger than noise even in smooth tiles."""


@dataclass(frozen=True)
class NoiseEstimate:
    """Noise of the smoothest regions.

    Attributes
    ----------
    noise
        Standard deviation in the units of the patches.
    spectrum
        Shape of the power spectrum that is nearest to the measured one.
    frequency, power
        Measured power spectrum of the smooth regions: cycles a voxel, and squared units of the patches.
    misfit
        Root mean square of the natural logarithm of measured over modelled power, at the frequencies that were fitted,
        the level left free.
    """

    noise: float
    spectrum: NoiseSpectrum
    frequency: NDArray[np.float64]
    power: NDArray[np.float64]
    misfit: float


def unit_power(spectrum: NoiseSpectrum, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the power of noise of variance 1 at frequencies in cycles a voxel; that of white noise is 1."""
    return spectrum.power(frequency) / spectrum.power(plane_frequency(64, 64)).mean()


def estimate_noise(patches: NDArray[np.float32]) -> NoiseEstimate:
    """Estimate the level of the noise from small smooth blocks, and its spectrum from larger smooth tiles.

    The level is that of `smooth_variance`, as in `estimate_scanner`: in pure noise it comes out up to a quarter too
    low, since the smoothest blocks were chosen for being smooth; where everything has texture it is too high. The
    spectrum is that of the smoothest 5% of tiles of 16×16 voxels, without frequencies below 0.15 cycles a voxel.
    Tiles with a voxel at the lowest or highest value of all patches are left out where others remain, since noise is
    cut off there.

    Parameters
    ----------
    patches : (n, p, p)
        Patches of the scan, p at least 16.

    Raises
    ------
    ValueError
        If there are fewer than eight tiles, or the smoothest ones are constant.
    """
    side = patches.shape[-1] // _TILE
    cut = patches[:, : side * _TILE, : side * _TILE].reshape(len(patches), side, _TILE, side, _TILE)
    tiles = cut.transpose(0, 1, 3, 2, 4).reshape(-1, _TILE, _TILE)
    if len(tiles) < _FEWEST:
        raise ValueError(f"{len(tiles)} tiles of {_TILE}×{_TILE} voxels are too few to estimate noise from")
    within = not_cut_off(tiles, (1, 2), patches)
    if np.count_nonzero(within) >= _FEWEST:
        tiles = tiles[within]
    order = np.argsort(rough_variance(tiles).mean((1, 2)), kind="stable")
    smooth = _levelled(tiles[order[: max(_FEWEST, round(_SMOOTHEST * len(tiles)))]])
    power, frequency = radial_spectrum(smooth)
    # A millionth is what rounding leaves of a constant.
    if float(smooth.std()) <= 1e-6 * float(np.abs(patches).max()):
        raise ValueError("the smoothest regions are constant: they hold no noise")
    used = frequency >= _LOWEST
    off = [float(np.log(power[used] / unit_power(shape, frequency[used])).std()) for shape in SHAPES]
    spectrum = SHAPES[int(np.argmin(off))]
    grid = plane_frequency(patches.shape[-1], patches.shape[-1])
    variance = smooth_variance(patches) / high_passed_share(spectrum.power(grid), grid)
    return NoiseEstimate(float(np.sqrt(variance)), spectrum, frequency, power, min(off))


def _levelled(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """Tiles without their mean and slope."""
    at = np.arange(_TILE) - (_TILE - 1) / 2
    down, across = np.meshgrid(at, at, indexing="ij")
    plane = np.stack([np.ones(_TILE**2), down.ravel(), across.ravel()], axis=1)
    flat = tiles.reshape(len(tiles), -1).T
    fitted = plane @ np.linalg.lstsq(plane, flat, rcond=None)[0]
    return np.asarray((flat - fitted).T.reshape(tiles.shape), np.float32)
