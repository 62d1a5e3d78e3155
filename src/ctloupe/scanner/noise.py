"""Noise of a clinical scanner: how its power depends on frequency, images of it, and its level in a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

LOWEST: Final = 1e-3
"""Frequency, in cycles a voxel, below which the power of noise is taken as constant."""

BLOCK: Final = 8
"""Side in voxels of the blocks whose spread is measured."""

_HIGH_PASS: Final = 1.5
"""Standard deviation of the Gaussian whose output is taken off before the spread of blocks is measured, in voxels."""

_SMOOTHEST: Final = 0.02
"""Share of the blocks of an image that count as smooth."""


class PowerSpectrum(Protocol):
    """Shape of a power spectrum of noise, as `NoiseSpectrum` and `ringing.Ringing` have one."""

    def power(self, frequency: NDArray[np.float64], lowest: float) -> NDArray[np.float64]:
        """Return the power, up to a factor, at frequencies in cycles a voxel, those below `lowest` as at `lowest`."""
        ...


@dataclass(frozen=True)
class NoiseSpectrum:
    """Shape of the power spectrum of noise in the plane of a slice, the same in all directions; slices are independent.

    Power is proportional to ``f^rise · exp(−(f / roll_off)²)``. A rise of 1 is the ramp of filtered backprojection
    (Riederer et al. 1978, doi:10.1088/0031-9155/23/3/008), 0 is white.

    Attributes
    ----------
    rise
        Exponent of the frequency, 0 or more.
    roll_off
        Frequency in cycles a voxel at which the kernel has lowered the power to 1/e; a sharp kernel has a high one.
    """

    rise: float = 1.0
    roll_off: float = 0.3

    def power(self, frequency: NDArray[np.float64], lowest: float = LOWEST) -> NDArray[np.float64]:
        """Return the power, up to a factor, at frequencies in cycles a voxel, those below `lowest` as at `lowest`."""
        floor = np.maximum(frequency, lowest)
        return np.asarray(floor**self.rise * np.exp(-((frequency / self.roll_off) ** 2)))

    def amplitude(self, height: int, width: int) -> NDArray[np.float32]:
        """Return the square root of the power on the grid of `numpy.fft.rfft2` for an image of this size.

        The scale is such that white noise multiplied by it keeps its variance.

        Returns
        -------
        float32 array of shape (height, width // 2 + 1)
        """
        power = self.power(plane_frequency(height, width))
        power /= power.mean()
        return np.sqrt(power)[:, : width // 2 + 1].astype(np.float32)


def plane_frequency(height: int, width: int) -> NDArray[np.float64]:
    """Return the spatial frequency, in cycles a pixel, of every coefficient of `numpy.fft.fft2`."""
    return np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])


def coloured(white: NDArray[Any], amplitude: NDArray[Any]) -> NDArray[Any]:
    """Give white noise ``(..., height, width)`` the spectrum of an `amplitude` on the grid of `numpy.fft.rfft2`."""
    return np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=white.shape[-2:])


def exact_noise(
    shape: tuple[int, int, int], deviation: float, spectrum: PowerSpectrum, random: np.random.Generator
) -> NDArray[np.float32]:
    """Draw noise whose own standard deviation, not only that of its distribution, is `deviation`, and whose mean is 0.

    Parameters
    ----------
    shape : (z, y, x)
    deviation
        Standard deviation of the result.
    spectrum
        Shape of its power spectrum; slices are independent.
    random
        Source of the white noise.
    """
    white = random.standard_normal(shape, dtype=np.float32)
    power = spectrum.power(plane_frequency(*shape[1:]), lowest=0.0)
    # Power at frequency 0 would move the mean of a slice.
    power[0, 0] = 0.0
    noise = coloured(white, np.sqrt(power)[:, : shape[2] // 2 + 1]).astype(np.float32)
    return noise * np.float32(deviation / max(float(noise.std()), 1e-12))


def radial_spectrum(images: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean power spectrum of square images by frequency.

    The mean of every image is taken off and a Hann window applied; white noise has its variance at every frequency.

    Parameters
    ----------
    images : (n, p, p)

    Returns
    -------
    power, frequency : arrays of shape (p // 2 - 1,)
        Power in squared units of the images, frequency in cycles a pixel from 2/p to 1/2.
    """
    size = images.shape[-1]
    window = np.hanning(size + 1)[:-1]
    window = np.outer(window, window)
    level = images.mean((1, 2), keepdims=True)
    power = (np.abs(np.fft.fft2((images - level) * window)) ** 2).mean(0) / (window**2).sum()
    ring = np.rint(plane_frequency(size, size) * size).astype(int)
    counts = np.bincount(ring.ravel())
    radial = np.bincount(ring.ravel(), power.ravel()) / counts
    rings = np.arange(2, size // 2 + 1)
    return radial[rings], rings / size


def rough_variance(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the variance of what a high-pass filter leaves in every block of 8×8 voxels.

    Parameters
    ----------
    images : (n, p, p)

    Returns
    -------
    array of shape (n, p // 8, p // 8)
    """
    return np.asarray(_rough_blocks(images).var((2, 4)))


def smooth_variance(images: NDArray[np.float32]) -> float:
    """Return the high-passed variance of the smoothest 2% of blocks.

    Blocks with a voxel at the lowest or highest value of all images are left out where as many others remain, since
    noise is cut off there.
    """
    within = not_cut_off(_in_blocks(images), (2, 4), images)
    variance = rough_variance(images)
    return float(np.quantile(variance[within] if 2 * np.count_nonzero(within) >= within.size else variance, _SMOOTHEST))


def not_cut_off(parts: NDArray[np.float32], axes: tuple[int, int], images: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which parts of `images`, that lie along `axes`, have no voxel at the images' lowest or highest value."""
    return np.asarray((parts.min(axes) > images.min()) & (parts.max(axes) < images.max()))


def smooth_variances(
    images: NDArray[np.float32], noise: NDArray[np.float32], deviations: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return `smooth_variance` of images with each of several multiples of one noise.

    Parameters
    ----------
    images, noise : (n, p, p)
    deviations : (m,)
        What the noise is multiplied by.

    Returns
    -------
    array of shape (m,)
    """
    ours, theirs = _rough_blocks(images).astype(np.float64), _rough_blocks(noise).astype(np.float64)
    ours -= ours.mean((2, 4), keepdims=True)
    theirs -= theirs.mean((2, 4), keepdims=True)
    alone, both, added = ((a * b).mean((2, 4)) for a, b in ((ours, ours), (ours, theirs), (theirs, theirs)))
    return np.array([np.quantile(alone + 2 * d * both + d**2 * added, _SMOOTHEST) for d in deviations])


def _rough_blocks(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the high-pass filter leaves, in blocks."""
    return _in_blocks(images - gaussian_filter(images, (0, _HIGH_PASS, _HIGH_PASS), mode="nearest"))


def _in_blocks(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blocks of 8×8 voxels, ``(n, p // 8, 8, p // 8, 8)``."""
    count, side = len(images), images.shape[-1] // BLOCK
    return images[:, : side * BLOCK, : side * BLOCK].reshape(count, side, BLOCK, side, BLOCK)


def high_passed_share(power: NDArray[np.float64], frequency: NDArray[np.float64]) -> float:
    """Return the share of noise of a power spectrum that the high-pass filter of `rough_variance` lets through."""
    kept = (1 - np.exp(-2 * (np.pi * _HIGH_PASS * frequency) ** 2)) ** 2
    return float((power * kept).sum() / power.sum())
