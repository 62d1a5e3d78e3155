"""A clinical CT in Hounsfield units.

It is a Gaussian point spread, a slice profile, averaging over coarse voxels, and noise with the ramp-shaped power
spectrum of filtered backprojection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ctloupe.foundation.errors import OptionError
from ctloupe.volume.volume import Volume


@dataclass(frozen=True)
class Kernel:
    """Reconstruction kernel of a clinical scanner.

    Attributes
    ----------
    fwhm
        In-plane full width at half maximum of the point spread, in clinical voxels, before averaging over the voxel.
    roll_off
        Frequency, in cycles a voxel, at which the noise is rolled off; a sharp kernel lets fine noise through.
    """

    fwhm: float
    roll_off: float


KERNELS: Final = {"smooth": Kernel(1.4, 0.18), "standard": Kernel(0.9, 0.3), "sharp": Kernel(0.6, 0.6)}
"""As from a soft-tissue to a bone kernel; the amount of noise is stated apart from its fineness."""

FWHM_PER_SIGMA: Final = 2.3548200450309493

_SLICE_EDGE: Final = 0.1
"""Gaussian softening of the slice profile, as a share of the slice thickness."""


def clinical_scan(
    truth: Volume,
    scale: int = 8,
    slices: int = 8,
    *,
    fwhm_mm: float | None = None,
    noise_hu: float = 20.0,
    kernel: str = "standard",
    seed: int = 0,
) -> Volume:
    """Scan a fine volume with a clinical CT.

    Parameters
    ----------
    truth
        In HU, on the fine grid.
    scale
        Fine voxels a clinical voxel in y and x; must divide both sizes.
    slices
        Fine slices a clinical slice; must divide their number.
    fwhm_mm
        In-plane full width at half maximum of the point spread, before averaging over the clinical voxel;
        default: the kernel's.
    noise_hu
        Standard deviation of the noise.
    kernel
        One of `KERNELS`.
    seed
        Of the noise.

    Returns
    -------
    Volume
        int16 HU over the same physical extent.

    Raises
    ------
    OptionError
        If a size is not divisible, naming the nearest ones that are, or there is no such kernel.
    """
    if kernel not in KERNELS:
        raise OptionError(f"kernel {kernel}: expected one of {', '.join(KERNELS)}")
    factors = (slices, scale, scale)
    if any(length % factor for length, factor in zip(truth.shape, factors, strict=True)):
        near = " ".join(str(max(f, round(n / f) * f)) for n, f in zip(truth.shape, factors, strict=True))
        raise OptionError(
            f"phantom size {' '.join(map(str, truth.shape))} cannot be divided by {factors}; the nearest is {near}"
        )
    spacing = tuple(value * factor for value, factor in zip(truth.spacing, factors, strict=True))
    sigma = (KERNELS[kernel].fwhm * spacing[2] if fwhm_mm is None else fwhm_mm) / FWHM_PER_SIGMA
    image = _slices_averaged(truth, slices)
    for axis in (1, 2):
        image = gaussian_filter1d(image, sigma / truth.spacing[axis], axis=axis, mode="nearest", truncate=3.0)
    z, y, x = image.shape
    image = image.reshape(z, y // scale, scale, x // scale, scale).mean((2, 4))
    if noise_hu > 0:
        image += ramp_noise(image.shape, noise_hu, np.random.default_rng((seed, 1)), KERNELS[kernel].roll_off)
    origin = truth.physical(((slices - 1) / 2, (scale - 1) / 2, (scale - 1) / 2))
    limits = np.iinfo(np.int16)
    return truth.with_data(
        np.rint(image).clip(limits.min, limits.max).astype(np.int16),
        f"simulated clinical CT: {kernel} kernel, point spread {sigma * FWHM_PER_SIGMA:.3g} mm, noise {noise_hu:g} HU, "
        f"seed {seed}",
        spacing=spacing,
        origin=tuple(float(value) for value in origin),
        modality="clinical",
        units="HU",
    )


def _slices_averaged(truth: Volume, slices: int) -> NDArray[np.float32]:
    """Mean over the slice thickness with softened edges; weights reach half a slice into the neighbours."""
    depth = truth.shape[0]
    centres = np.arange(depth // slices) * slices + (slices - 1) / 2
    at = np.arange(depth)
    box = (np.abs(at[None] - centres[:, None]) < slices / 2).astype(np.float64)
    weights = gaussian_filter1d(box, _SLICE_EDGE * slices, axis=1, mode="nearest") if slices > 1 else box
    weights /= weights.sum(1, keepdims=True)
    result = np.zeros((len(centres), *truth.shape[1:]), np.float32)
    for z in range(depth):
        plane = np.asarray(truth.data[z], dtype=np.float32)
        for index in np.flatnonzero(weights[:, z] > 1e-4):
            result[index] += np.float32(weights[index, z]) * plane
    # Weights below 1e-4 were left out; without this a constant volume would lose a fraction of a HU.
    kept = np.where(weights > 1e-4, weights, 0).sum(1)
    return result / kept[:, None, None].astype(np.float32)


def ramp_noise(
    shape: tuple[int, int, int], deviation: float, random: np.random.Generator, roll_off: float = 0.3
) -> NDArray[np.float32]:
    """Noise whose in-plane power rises with frequency and is rolled off by a smooth kernel.

    Power ∝ f·exp(−(f / roll_off)²), f in cycles a voxel: the shape of filtered backprojection with a soft kernel
    (Riederer et al. 1978, doi:10.1088/0031-9155/23/3/008). Slices are independent.

    Parameters
    ----------
    shape : (z, y, x)
    deviation
        Standard deviation of the result.
    roll_off
        In cycles a voxel.
    """
    white = random.standard_normal(shape, dtype=np.float32)
    frequency = np.hypot(np.fft.fftfreq(shape[1])[:, None], np.fft.rfftfreq(shape[2])[None])
    amplitude = np.sqrt(frequency) * np.exp(-((frequency / roll_off) ** 2) / 2)
    noise = np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=shape[1:]).astype(np.float32)
    return noise * np.float32(deviation / max(float(noise.std()), 1e-12))
