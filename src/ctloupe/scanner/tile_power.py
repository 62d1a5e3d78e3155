"""Power by spatial frequency of square tiles inside a mask, and what noise of a known spectrum has there."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.scanner.noise import NoiseSpectrum, plane_frequency

SIDE: Final = 8
"""Side of a tile in voxels: small, since tiles have to lie wholly inside masks."""

_GRID: Final = 64
"""Side of the grid on which a spectrum is taken before it is seen through the window of a tile."""

_HANN: Final = np.hanning(SIDE + 1)[:-1]
_WINDOW: Final = np.outer(_HANN, _HANN)
_RING: Final = np.rint(plane_frequency(SIDE, SIDE) * SIDE).astype(int)
COEFFICIENTS: Final = np.bincount(_RING.ravel())
"""Number of Fourier coefficients of a tile at each whole number of cycles a tile."""


class TilePower:
    """Mean power of tiles of 8×8 voxels, half a tile apart, under a Hann window; their means are not taken off."""

    def __init__(self) -> None:
        self.tiles = 0
        self._power: NDArray[np.float64] = np.zeros((SIDE, SIDE))

    def add(self, plane: NDArray[Any], inside: NDArray[np.bool_] | None) -> None:
        """Take all tiles of a plane into account that lie wholly inside.

        Parameters
        ----------
        plane : (y, x)
        inside : (y, x)
            None: everywhere.
        """
        if min(plane.shape) < SIDE:
            return
        tiles = _tiles(plane)
        chosen = tiles.reshape(-1, SIDE, SIDE) if inside is None else tiles[_tiles(inside).all((2, 3))]
        self._power += (np.abs(np.fft.fft2(chosen * _WINDOW)) ** 2).sum(0)
        self.tiles += len(chosen)

    def result(self) -> NDArray[np.float64]:
        """Return the power at 0, 1, … cycles a tile in squared units; NaN without tiles. White noise has its variance.

        Returns
        -------
        array of the shape of `COEFFICIENTS`
        """
        if not self.tiles:
            return np.full(len(COEFFICIENTS), np.nan)
        return _by_ring(self._power / self.tiles)


def expected_power(spectrum: NoiseSpectrum, deviation: float) -> NDArray[np.float64]:
    """Return what `TilePower` finds on average in noise of a known spectrum.

    The window multiplies the autocovariance of the noise by its own (Wiener-Khinchin).

    Parameters
    ----------
    spectrum
        Shape of the power spectrum.
    deviation
        Standard deviation of the noise.
    """
    power = spectrum.power(plane_frequency(_GRID, _GRID))
    covariance = np.fft.ifft2(power * deviation**2 / power.mean()).real
    overlap = np.fft.ifft2(np.abs(np.fft.fft2(_WINDOW, (_GRID, _GRID))) ** 2).real
    seen = np.fft.fft2(covariance * overlap).real
    step = _GRID // SIDE
    return _by_ring(seen[::step, ::step])


def _tiles(plane: NDArray[Any]) -> NDArray[Any]:
    step = SIDE // 2
    return np.lib.stride_tricks.sliding_window_view(plane, (SIDE, SIDE))[::step, ::step]


def _by_ring(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over coefficients of equal frequency; power is that of a sum of tiles without the weight of the window."""
    return np.asarray(np.bincount(_RING.ravel(), power.ravel()) / (_WINDOW**2).sum() / COEFFICIENTS)
