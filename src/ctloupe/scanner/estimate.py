"""What a clinical scanner does to an image, estimated from its own patches and unpaired µCT patches.

Neither phantom scans nor pairs are needed. A clinical power spectrum is the spectrum of the anatomy times the squared
transfer function of the scanner, plus the spectrum of its noise; the anatomy's spectrum is known from µCT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ctloupe.images.windows import IntensityWindow
from ctloupe.scanner.estimate_noise import SHAPES
from ctloupe.scanner.noise import (
    NoiseSpectrum,
    coloured,
    high_passed_share,
    plane_frequency,
    radial_spectrum,
    smooth_variance,
)
from ctloupe.scanner.point_spread import gaussian_taps, spread
from ctloupe.scanner.scanner import Scanner
from ctloupe.scanner.voxel import block_mean
from ctloupe.volume.geometry import Triple

Images = NDArray[np.float32]

BLURS: Final = np.linspace(0.0, 1.2, 25)
"""Blurs that are tried, in clinical voxels."""

DISAGREEMENT: Final = 0.25
"""Difference of two estimates of a blur, in clinical voxels, that is warned of: a little more than their errors."""

LARGEST_MISFIT: Final = 0.35
"""Misfit of two spectra above which µCT and scan show different things."""

_QUANTILES: Final = np.linspace(0.01, 0.99, 99)
_ROUNDS: Final = 4


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
class AnatomySpectra:
    """Power spectra of µCT as a scanner with each of the blurs that are tried, and without noise, would see it.

    Attributes
    ----------
    power : (b, p // 2 - 1)
        A row for each of `BLURS`; see `radial_spectrum`.
    """

    power: NDArray[np.float64]

    @classmethod
    def of(cls, micro: Images, scale: int) -> AnatomySpectra:
        """Find them from µCT patches ``(m, s·p, s·p)``, averaged over the thickness of a clinical slice."""
        return cls(np.stack([radial_spectrum(seen_without_noise(micro, blur, scale))[0] for blur in BLURS]))


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
    measured, frequency = radial_spectrum(clinical)
    if len(frequency) != anatomy.power.shape[1]:
        raise ValueError(
            f"patches of {clinical.shape[-1]} pixels do not go with spectra of {2 * (anatomy.power.shape[1] + 1)}"
        )
    misfit, index, variance, shape = _fit(measured, frequency, list(anatomy.power), smooth_variance(clinical))
    return BlurAndNoise(float(BLURS[index]), float(np.sqrt(variance)), shape, misfit)


def estimate_scanner(
    clinical: Images, micro: Images, scale: int, anatomy: AnatomySpectra | None = None
) -> ScannerEstimate:
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


def seen_without_noise(micro: Images, blur: float, scale: int) -> Images:
    """Blur by a point spread in clinical voxels and average over voxels, ``(m, s·p, s·p)`` to ``(m, p, p)``.

    Along either axis it is one product with a matrix, which is many times faster than to convolve.
    """
    rows, columns = (_blurring(length, blur, scale) for length in micro.shape[1:])
    return np.asarray(rows @ micro @ columns.T)


def _blurring(length: int, blur: float, scale: int) -> Images:
    """Matrix ``(length / s, length)`` of the point spread, with the outermost pixels going on, and the mean."""
    points = np.eye(length, dtype=np.float32)[None]
    blurred = spread(points, gaussian_taps(blur * scale), 1) if blur else points
    return np.asarray(blurred[0].reshape(length // scale, scale, length).mean(1))


def _fit(
    measured: NDArray[np.float64],
    frequency: NDArray[np.float64],
    anatomy: list[NDArray[np.float64]],
    smooth: float,
) -> tuple[float, int, float, NoiseSpectrum]:
    """Blur and noise of the smallest misfit: (misfit, index of the blur, noise variance, shape of its spectrum)."""
    best = (np.inf, 0, 0.0, SHAPES[0])
    size = round(frequency[-1] / frequency[0] * 2) * 2
    grid = plane_frequency(size, size)
    for shape in SHAPES:
        everywhere = shape.power(grid)
        # Power of noise of variance 1: white noise has power 1 at every frequency.
        noise = shape.power(frequency) / everywhere.mean()
        variance = smooth / high_passed_share(everywhere, grid)
        left = (measured - variance * noise).clip(0) / measured
        for index, spectrum in enumerate(anatomy):
            (power,), _ = nnls((spectrum / measured)[:, None], left)
            signal = power * spectrum
            logs = np.log((signal + variance * noise) / measured)
            misfit = float(np.sqrt((logs**2).mean()))
            if misfit < best[0]:
                best = (misfit, index, variance, shape)
    return best


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
