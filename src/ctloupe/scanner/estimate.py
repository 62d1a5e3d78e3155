"""What a clinical scanner does to an image, estimated from its own patches and unpaired µCT patches.

Neither phantom scans nor pairs are needed. A clinical power spectrum is the spectrum of the anatomy times the squared
transfer function of the scanner, plus the spectrum of its noise; the anatomy's spectrum is known from µCT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import nnls

Images = NDArray[np.float32]

_BLURS: Final = np.linspace(0.0, 1.2, 25)
_RISES: Final = (0.0, 0.5, 1.0)
_ROLL_OFFS: Final = (0.2, 0.25, 0.3, 0.4, 0.6, 1.0)
_QUANTILES: Final = np.linspace(0.01, 0.99, 99)
_ROUNDS: Final = 4
_SMOOTHEST: Final = 0.02
"""Share of the blocks of clinical patches that count as smooth."""
_BLOCK: Final = 8
_HIGH_PASS: Final = 1.5
"""Standard deviation of the Gaussian whose output is taken off before the spread of blocks is measured, in voxels."""


@dataclass(frozen=True)
class ScannerEstimate:
    """A clinical scanner in the units of the patches it was estimated from.

    Attributes
    ----------
    blur
        Standard deviation of the in-plane Gaussian point spread before averaging over the voxel, in clinical voxels.
    noise
        Standard deviation of the noise.
    rise, roll_off
        Noise power is proportional to ``f^rise · exp(−(f / roll_off)²)``, f in cycles a voxel: 0 is white, 1 the ramp
        of filtered backprojection (Riederer et al. 1978, doi:10.1088/0031-9155/23/3/008).
    gain, offset
        ``clinical = gain · µCT + offset``.
    misfit
        Root mean square of the natural logarithm of modelled over measured power, over frequencies.
    """

    blur: float
    noise: float
    rise: float
    roll_off: float
    gain: float
    offset: float
    misfit: float


def noise_amplitude(size: int, rise: float, roll_off: float) -> Images:
    """Square root of the noise power on the grid of `numpy.fft.rfft2`, scaled so that white noise keeps variance 1.

    Parameters
    ----------
    size
        Side of the image.
    rise, roll_off
        As in `ScannerEstimate`.
    """
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    power = _noise_power(frequency, rise, roll_off)
    power /= power.mean()
    return np.sqrt(power)[:, : size // 2 + 1].astype(np.float32)


def estimate_scanner(clinical: Images, micro: Images, scale: int) -> ScannerEstimate:
    """Estimate blur, noise and intensity relation by matching spectra and distributions.

    The level of the noise is the spread of the smoothest clinical regions. Blur and shape of the noise spectrum are
    those for which the spectrum of the reduced µCT, at whatever overall power, plus that of the noise is nearest to the
    clinical one. The intensity relation is the line that then takes the quantiles of blurred, averaged and noisy µCT to
    those of the clinical patches. Specimens and patients are different people: all of it is as good as they are alike.

    Parameters
    ----------
    clinical : (n, p, p)
        Patches of the clinical scans.
    micro : (m, s·p, s·p)
        Unpaired µCT patches, averaged over the thickness of a clinical slice.
    scale
        s.

    Raises
    ------
    ValueError
        If the patches have no contrast.
    """
    coarse = [_coarse(micro, blur, scale) for blur in _BLURS]
    if min(float(clinical.std()), float(coarse[0].std())) < 1e-6:
        raise ValueError("patches without contrast say nothing about the scanner")
    measured, frequency = _spectrum(clinical)
    anatomy = [_spectrum(images)[0] for images in coarse]
    misfit, index, variance, rise, roll_off = _fit(measured, frequency, anatomy, _smooth_variance(clinical))
    noise = _coloured(coarse[index].shape, np.sqrt(variance), rise, roll_off, np.random.default_rng(0))
    gain, offset = _line(coarse[index], clinical)
    for _ in range(_ROUNDS):
        # Noise widens the clinical distribution; in the units of the µCT it is the wider the smaller the gain.
        gain, offset = _line(coarse[index] + noise / max(gain, 1e-3), clinical)
    return ScannerEstimate(float(_BLURS[index]), float(np.sqrt(variance)), rise, roll_off, gain, offset, misfit)


def _coarse(micro: Images, blur: float, scale: int) -> Images:
    sigma = blur * scale
    blurred = gaussian_filter(micro, (0, sigma, sigma), mode="nearest", truncate=3.0) if sigma else micro
    count, height, width = micro.shape
    shape = (count, height // scale, scale, width // scale, scale)
    return blurred.reshape(shape).mean((2, 4), dtype=np.float32)


def _spectrum(images: Images) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Radial power spectrum of Hann-windowed patches, and its frequencies without the lowest two."""
    size = images.shape[-1]
    window = np.hanning(size + 1)[:-1]
    window = np.outer(window, window)
    level = images.mean((1, 2), keepdims=True)
    power = (np.abs(np.fft.fft2((images - level) * window)) ** 2).mean(0) / (window**2).sum()
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    ring = np.rint(frequency * size).astype(int)
    counts = np.bincount(ring.ravel())
    radial = np.bincount(ring.ravel(), power.ravel()) / counts
    rings = np.arange(2, size // 2 + 1)
    return radial[rings], rings / size


def _noise_power(frequency: NDArray[np.float64], rise: float, roll_off: float) -> NDArray[np.float64]:
    floor = np.maximum(frequency, 1e-3)
    return floor**rise * np.exp(-((frequency / roll_off) ** 2))


def _fit(
    measured: NDArray[np.float64],
    frequency: NDArray[np.float64],
    anatomy: list[NDArray[np.float64]],
    smooth: float,
) -> tuple[float, int, float, float, float]:
    """Blur and noise of the smallest misfit: (misfit, index of the blur, noise variance, rise, roll-off)."""
    best = (np.inf, 0, 0.0, 0.0, 1.0)
    size = round(frequency[-1] / frequency[0] * 2) * 2
    grid = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    for rise in _RISES:
        for roll_off in _ROLL_OFFS:
            everywhere = _noise_power(grid, rise, roll_off)
            # Power of noise of variance 1: white noise has power 1 at every frequency.
            noise = _noise_power(frequency, rise, roll_off) / everywhere.mean()
            variance = smooth / _high_passed(everywhere, grid)
            left = (measured - variance * noise).clip(0) / measured
            for index, spectrum in enumerate(anatomy):
                (power,), _ = nnls((spectrum / measured)[:, None], left)
                signal = power * spectrum
                logs = np.log((signal + variance * noise) / measured)
                misfit = float(np.sqrt((logs**2).mean()))
                if misfit < best[0]:
                    best = (misfit, index, variance, rise, roll_off)
    return best


def _smooth_variance(clinical: Images) -> float:
    """Variance of what a high-pass filter leaves in the smoothest blocks: hardly anything but noise."""
    rough = clinical - gaussian_filter(clinical, (0, _HIGH_PASS, _HIGH_PASS), mode="nearest")
    count, size = len(clinical), clinical.shape[-1] // _BLOCK * _BLOCK
    blocks = rough[:, :size, :size].reshape(count, size // _BLOCK, _BLOCK, size // _BLOCK, _BLOCK)
    return float(np.quantile(blocks.var((2, 4)), _SMOOTHEST))


def _high_passed(noise: NDArray[np.float64], grid: NDArray[np.float64]) -> float:
    """Share of the noise power that the high-pass filter lets through."""
    kept = (1 - np.exp(-2 * (np.pi * _HIGH_PASS * grid) ** 2)) ** 2
    return float((noise * kept).sum() / noise.sum())


def _coloured(
    shape: tuple[int, ...], deviation: float, rise: float, roll_off: float, random: np.random.Generator
) -> Images:
    white = random.standard_normal(shape, dtype=np.float32)
    spectrum = np.fft.rfft2(white) * noise_amplitude(shape[-1], rise, roll_off)
    return (np.fft.irfft2(spectrum, s=shape[-2:]) * deviation).astype(np.float32)


def _line(coarse: Images, clinical: Images) -> tuple[float, float]:
    """Gain and offset that take the quantiles of the reduced µCT to the clinical ones."""
    ours, theirs = np.quantile(coarse, _QUANTILES), np.quantile(clinical, _QUANTILES)
    slope, offset = np.polyfit(ours, theirs, 1)
    return float(slope), float(offset)
