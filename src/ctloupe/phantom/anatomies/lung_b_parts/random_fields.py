"""Gaussian random fields with a band of wavelengths."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft

Shape = tuple[int, int, int]

_NODES_A_WAVE = 20
_LEAST_AMPLITUDE = 0.02


def band_limited_pair(shape: Shape, wavelength: float, spread: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Two independent fields without mean, of unit variance, whose wavelengths are log-normal.

    Modes of the band are drawn at random in Fourier space; real and imaginary part of the transform of complex
    white noise are independent. More is transformed than is kept, so that opposite faces do not match.

    Parameters
    ----------
    shape : (z, y, x)
        Number of voxels.
    wavelength
        Median wavelength in voxels, at least 3.
    spread
        Standard deviation of the wavelength's logarithm.
    rng
        Decides the modes.

    Returns
    -------
    float32 array of shape (2, z, y, x)
    """
    padded = [fft.next_fast_len(length + math.ceil(2 * wavelength)) for length in shape]
    z, y, x = np.meshgrid(*(fft.fftfreq(length).astype(np.float32) for length in padded), indexing="ij", sparse=True)
    cycles = (z * z + y * y + x * x).reshape(-1)
    reach = math.exp(spread * math.sqrt(-2 * math.log(_LEAST_AMPLITUDE)))
    modes = np.flatnonzero((cycles > (1 / wavelength / reach) ** 2) & (cycles < (reach / wavelength) ** 2))
    away = np.log(np.sqrt(cycles[modes]) * wavelength) / spread
    # A shell of modes grows with the square of its radius, and the band is one in the logarithm of the radius.
    amplitude = np.exp(-away * away / 4) * (cycles[modes] * wavelength**2) ** -0.75
    drawn = rng.standard_normal((2, modes.size), dtype=np.float32) * amplitude
    spectrum = np.zeros(cycles.size, dtype=np.complex64)
    spectrum[modes] = drawn[0] + 1j * drawn[1]
    field = fft.ifftn(spectrum.reshape(padded), overwrite_x=True)[: shape[0], : shape[1], : shape[2]]
    scale = math.sqrt(float((amplitude.astype(np.float64) ** 2).sum())) / spectrum.size
    pair: NDArray[np.float32] = np.stack([field.real, field.imag])
    pair /= np.float32(scale)
    return pair


def smooth_field(shape: Shape, wavelength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A field of unit variance that varies over many voxels, interpolated from fewer nodes.

    Parameters
    ----------
    shape : (z, y, x)
        Number of voxels.
    wavelength
        Median wavelength in voxels.
    rng
        Decides the field.

    Returns
    -------
    float32 array of shape (z, y, x)
    """
    apart = max(wavelength / _NODES_A_WAVE, 1.0)
    z, y, x = (max(2, math.ceil(length / apart)) for length in shape)
    return enlarged(band_limited_pair((z, y, x), wavelength / apart, 0.3, rng)[0], shape)


def enlarged(nodes: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    """`nodes` (z, y, x) interpolated linearly to `shape` voxels over the same extent."""
    given = torch.from_numpy(np.ascontiguousarray(nodes))[None, None]
    found: NDArray[np.float32] = torch.nn.functional.interpolate(given, size=shape, mode="trilinear")[0, 0].numpy()
    return found
