"""What a clinical scanner does to an image, estimated from its own patches and unpaired µCT patches.

Neither phantom scans nor pairs are needed. A clinical power spectrum is the spectrum of the anatomy times the squared
transfer function of the scanner, plus the spectrum of its noise; the anatomy's spectrum is known from µCT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.images.windows import IntensityWindow
from ctloupe.scanner.anatomy import BLURS, AnatomySpectra, Images, seen_without_noise
from ctloupe.scanner.estimate_noise import SHAPES
from ctloupe.scanner.noise import (
    NoiseSpectrum,
    coloured,
    high_passed_share,
    plane_frequency,
    radial_spectrum,
    smooth_variance,
)
from ctloupe.scanner.scanner import Scanner
from ctloupe.scanner.voxel import block_mean
from ctloupe.volume.geometry import Triple

DISAGREEMENT: Final = 0.25
"""Difference of two estimates of a blur, in clinical voxels, that is warned of: a little more than their errors."""

LARGEST_MISFIT: Final = 0.35
"""Misfit of two spectra above which µCT and scan show different things."""

_QUANTILES: Final = np.linspace(0.01, 0.99, 99)
_ROUNDS: Final = 4

_LEAST_NOISE: Final = 0.1
_MOST_NOISE: Final = 2.0
"""High-passed variance of noise over that of the smoothest blocks, at least and at most. In pure noise it is 1.5; there
is a least one since patients with smoother tissue than the specimens would otherwise seem to be without noise."""

_HALVINGS: Final = 20


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
        Shape of the power spectrum of the noise; see `NoiseSpectrum`.
    gain, offset
        Line from the intensities of the µCT to clinical ones: ``clinical = gain · µCT + offset``.
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

    @property
    def spectrum(self) -> NoiseSpectrum:
        """Shape of the power spectrum of the noise."""
        return NoiseSpectrum(self.rise, self.roll_off)

    def scanner(self, voxel: Triple, clinical: IntensityWindow, micro: IntensityWindow) -> Scanner:
        """Return the scanner in mm and HU, estimated from patches that two windows had taken to [−1, 1].

        Parameters
        ----------
        voxel : (z, y, x) in mm
            Voxels of the clinical scan; a slice is taken to be as thick as slices are apart.
        clinical, micro
            Windows of the patches, in HU and in the units of the µCT.
        """
        half, fine = (clinical.high - clinical.low) / 2, (micro.high - micro.low) / 2
        gain = self.gain * half / fine
        middle = (clinical.high + clinical.low) / 2 + self.offset * half
        return Scanner(
            voxel,
            self.blur * voxel[2],
            self.noise * half,
            self.spectrum,
            gain=gain,
            offset=middle - gain * (micro.high + micro.low) / 2,
        )


@dataclass(frozen=True)
class BlurAndNoise:
    """What can be told of a scanner without the intensities of the µCT; see `ScannerEstimate` for the units.

    Attributes
    ----------
    blur, noise
        Blur in clinical voxels, and standard deviation of the noise in the units of the patches.
    spectrum
        Shape of the power spectrum of the noise.
    misfit
        Root mean square of the natural logarithm of modelled over measured power, over frequencies.
    """

    blur: float
    noise: float
    spectrum: NoiseSpectrum
    misfit: float


def estimate_blur_and_noise(clinical: Images, anatomy: AnatomySpectra) -> BlurAndNoise:
    """Estimate blur and noise by matching spectra, as `estimate_scanner` does.

    Parameters
    ----------
    clinical : (n, p, p)
        Patches of the clinical scans, of the size that the spectra are of.
    anatomy
        What the µCT would look like.

    Raises
    ------
    ValueError
        If the patches have no contrast, or another size.
    """
    if float(clinical.std()) < 1e-6:
        raise ValueError("patches without contrast say nothing about the scanner")
    measured, _ = radial_spectrum(clinical)
    if len(measured) != anatomy.power.shape[1]:
        raise ValueError(
            f"patches of {clinical.shape[-1]} pixels do not go with spectra of {2 * (anatomy.power.shape[1] + 1)}"
        )
    size, smooth = clinical.shape[-1], smooth_variance(clinical)
    return min((_fit(shape, measured, size, anatomy, smooth) for shape in SHAPES), key=lambda found: found.misfit)


def estimate_scanner(
    clinical: Images, micro: Images, scale: int, anatomy: AnatomySpectra | None = None
) -> ScannerEstimate:
    """Estimate blur, noise and intensity relation by matching spectra and distributions.

    The level of the noise is that with which the smoothest regions of the reduced µCT have the spread of the smoothest
    clinical ones. Blur and shape of the noise spectrum are those for which the spectrum of the reduced µCT, at whatever
    overall power, plus that of the noise is nearest to the clinical one. The intensity relation is the line that then
    takes the quantiles of blurred, averaged and noisy µCT to those of the clinical patches. Specimens and patients are
    different people: all of it is as good as they are alike.

    Parameters
    ----------
    clinical : (n, p, p)
        Patches of the clinical scans.
    micro : (m, s·p, s·p)
        Unpaired µCT patches, averaged over the thickness of a clinical slice.
    scale
        s.
    anatomy
        Spectra of `micro`, where they are known already.

    Raises
    ------
    ValueError
        If the patches have no contrast.
    """
    if float(block_mean(micro, scale).std()) < 1e-6:
        raise ValueError("patches without contrast say nothing about the scanner")
    found = estimate_blur_and_noise(clinical, anatomy or AnatomySpectra.of(micro, scale))
    coarse, shape = seen_without_noise(micro, found.blur, scale), found.spectrum
    noise = _noise(coarse.shape, found.noise**2, shape)
    gain, offset = _line(coarse, clinical)
    for _ in range(_ROUNDS):
        # Noise widens the clinical distribution; in the units of the µCT it is the wider the smaller the gain.
        gain, offset = _line(coarse + noise / max(gain, 1e-3), clinical)
    return ScannerEstimate(found.blur, found.noise, shape.rise, shape.roll_off, gain, offset, found.misfit)


def _fit(
    shape: NoiseSpectrum, measured: NDArray[np.float64], size: int, anatomy: AnatomySpectra, smooth: float
) -> BlurAndNoise:
    """Blur and noise of the smallest misfit for one shape of the noise spectrum.

    For every blur the variance of the noise is found by halving an interval: the more noise, the less power is left to
    the anatomy, and the rougher its smoothest regions.
    """
    grid = plane_frequency(size, size)
    everywhere = shape.power(grid)
    share = high_passed_share(everywhere, grid)
    # Power of noise of variance 1: white noise has power 1 at every frequency.
    noise = shape.power(np.arange(2, size // 2 + 1) / size) / everywhere.mean()
    low, high = (np.full(len(BLURS), factor * smooth / share) for factor in (_LEAST_NOISE, _MOST_NOISE))
    for _ in range(_HALVINGS):
        variance = (low + high) / 2
        rougher = anatomy.smooth_variance(_power(measured, variance, noise, anatomy), variance * share) > smooth
        low, high = np.where(rougher, low, variance), np.where(rougher, variance, high)
    power = _power(measured, variance, noise, anatomy)
    modelled = power[:, None] * anatomy.power + variance[:, None] * noise
    misfit = np.sqrt((np.log(modelled / measured) ** 2).mean(1))
    best = int(np.argmin(misfit))
    return BlurAndNoise(float(BLURS[best]), float(np.sqrt(variance[best])), shape, float(misfit[best]))


def _power(
    measured: NDArray[np.float64],
    variance: NDArray[np.float64],
    noise: NDArray[np.float64],
    anatomy: AnatomySpectra,
) -> NDArray[np.float64]:
    """Squared contrast, for every blur, that explains what noise of a variance leaves of the measured power.

    Least squares of the relative errors; none of the powers is negative, so neither is their ratio.
    """
    left = (measured - variance[:, None] * noise).clip(0) / measured
    relative = anatomy.power / measured
    return np.asarray((left * relative).sum(1) / (relative**2).sum(1))


def _noise(shape: tuple[int, ...], variance: float, spectrum: NoiseSpectrum) -> Images:
    """One fixed image of the noise."""
    white = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    noise = coloured(white, spectrum.amplitude(*shape[-2:])) * np.sqrt(variance)
    return noise.astype(np.float32)


def _line(coarse: Images, clinical: Images) -> tuple[float, float]:
    """Gain and offset that take the quantiles of the reduced µCT to the clinical ones."""
    ours, theirs = np.quantile(coarse, _QUANTILES), np.quantile(clinical, _QUANTILES)
    slope, offset = np.polyfit(ours, theirs, 1)
    return float(slope), float(offset)
