"""Quantum noise that is drawn on the detector, behind a body, and reconstructed by filtered backprojection.

Where more of the body lies on the way of a ray, fewer photons arrive and the logarithm of their number is noisier. So
the noise of a slice is stronger for the directions in which a body is wide, depends on the place, and makes streaks
between what is dense (Barrett and Keat 2004, doi:10.1148/rg.246045065, on photon starvation).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft, rfftfreq

from ctloupe.scanner.body import WATER, Body, line_integrals
from ctloupe.scanner.noise import PowerSpectrum
from ctloupe.scanner.parallel_beam import ParallelBeam

_PITCH: Final = 0.5
"""Distance of rays in clinical voxels; wider ones would lose the finest noise to the interpolation between them."""

_MARGIN: Final = 12.0
"""Clinical voxels by which the detector reaches beyond the slice, since the ramp filter reaches far."""


def projection_noise(
    image: NDArray[Any],
    voxel: tuple[float, float],
    deviation: float,
    spectrum: PowerSpectrum,
    body: Body,
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """Draw the noise of a scan from numbers of photons.

    The number of photons that leave the tube is the one that gives `deviation` where numbers are large. The power of
    the noise behind no body has the shape of `spectrum`.

    Parameters
    ----------
    image : (z, y, x) in HU
        What the scanner sees without noise: it takes photons away as well, but for the mean of each slice, which is the
        body's.
    voxel : (y, x) in mm
    deviation
        Standard deviation in HU that is aimed at. The interpolation between rays takes a tenth of it, and where photons
        are few it is less.
    spectrum
        What the kernel leaves of the noise at each frequency.
    body
        What lies around.
    random
        Source of the numbers of photons.

    Returns
    -------
    float32 array of shape (z, y, x)
        Noise in HU; every slice has the mean 0.
    """
    beam = ParallelBeam((image.shape[1], image.shape[2]), voxel, _PITCH * min(voxel), margin=_MARGIN * min(voxel))
    around = np.stack([line_integrals(body, angle, beam.positions) for angle in beam.angles])
    kernel = _kernel(beam, spectrum, min(voxel))
    noise = np.empty(image.shape, np.float32)
    for z, plane in enumerate(np.asarray(image, np.float64)):
        lines = np.maximum(around + WATER / 1000 * beam.project(plane - plane.mean()), 0.0)
        rays = _logarithms(lines, _photons(beam, lines, kernel, deviation), random) - lines
        found = beam.backproject(irfft(rfft(rays, axis=1) * kernel, rays.shape[1], axis=1)) * 1000 / WATER
        noise[z] = found - found.mean()
    return noise


def _kernel(beam: ParallelBeam, spectrum: PowerSpectrum, voxel: float) -> NDArray[np.float64]:
    """Filter of the rays by frequency, per mm: backprojection divides power by the frequency."""
    cycles = rfftfreq(len(beam.positions), beam.pitch) * voxel
    return np.sqrt(cycles * spectrum.power(cycles, 0.0)) / voxel


def _photons(beam: ParallelBeam, lines: NDArray[np.float64], kernel: NDArray[np.float64], deviation: float) -> float:
    """Photons a ray leaves the tube with: the variance of the logarithm of a large number is one over the number."""
    inside = np.abs(beam.positions) <= min(n * edge for n, edge in zip(beam.shape, beam.voxel, strict=True)) / 2
    step = np.pi / len(beam.angles)
    gain = (1000 / WATER * step) ** 2 * irfft(kernel**2, len(beam.positions))[0]
    return float(gain * np.exp(lines[:, inside]).mean(1).sum() / deviation**2)


def _logarithms(lines: NDArray[np.float64], photons: float, random: np.random.Generator) -> NDArray[np.float64]:
    """What a detector takes for the line integrals; a ray without a photon is taken to have had one."""
    counts = random.poisson(photons * np.exp(-lines))
    return np.asarray(np.log(photons / np.maximum(counts, 1)))
