"""Two scanners for one anatomy: a clinical CT in Hounsfield units and a µCT in raw units.

The clinical scan is a Gaussian point spread, a slice profile, averaging over coarse voxels, and noise with the
ramp-shaped power spectrum of filtered backprojection. The µCT is a fixed specimen with contrast of its own,
a small blur, white noise, mild rings and cupping, and on request a plastic cylinder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomy import AIR_HU, TISSUE_HU, Label
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

MICRO_AIR: Final = 2500.0
MICRO_TISSUE: Final = 11500.0
MICRO_BLOOD: Final = 12500.0
MICRO_PLASTIC: Final = 6000.0
_MICRO_BLUR_VOXELS: Final = 0.5
_CUPPING: Final = 0.03
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


def micro_scan(
    truth: Volume,
    labels: NDArray[np.uint8],
    *,
    noise: float = 350.0,
    rings: float = 80.0,
    gain: float | None = None,
    cylinder: bool = False,
    seed: int = 0,
) -> Volume:
    """Scan a fine volume as a fixed specimen in a µCT.

    Parameters
    ----------
    truth
        In HU.
    labels
        Same shape, values of `Label`; blood is a little denser than tissue.
    noise, rings
        Standard deviations in raw units.
    gain
        Raw units a HU; default: such that tissue is at 11,500. Bone needs less, to stay within 16 bits.
    cylinder
        Cut the specimen round and put it into a plastic cylinder with air around.
    seed
        Of noise, rings and the outline of the specimen.

    Returns
    -------
    Volume
        int16 raw units, about 2500 (air) to 12500 (blood), on the same grid.
    """
    random = np.random.default_rng((seed, 2))
    height, width = truth.shape[1:]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    radius, angle = np.hypot(y, x).astype(np.float32), np.arctan2(y, x)
    shade = (1 - _CUPPING * np.clip(1 - radius**2, 0, 1)).astype(np.float32)
    ring = _rings(radius, rings, random)
    outline = _outline(angle, random) if cylinder else None
    result = np.empty(truth.shape, np.int16)
    if gain is None:
        gain = (MICRO_TISSUE - MICRO_AIR) / (TISSUE_HU - AIR_HU)
    for z in range(truth.shape[0]):
        plane = (np.asarray(truth.data[z], dtype=np.float32) - np.float32(AIR_HU)) * np.float32(gain) + np.float32(
            MICRO_AIR
        )
        blood = (labels[z] == Label.ARTERY) | (labels[z] == Label.VEIN)
        plane[blood] *= np.float32(MICRO_BLOOD / MICRO_TISSUE)
        if outline is not None:
            plane = np.where(radius < outline, plane, np.float32(MICRO_AIR))
            plane[(radius > 0.90) & (radius < 0.95)] = MICRO_PLASTIC
        plane = gaussian_filter(plane, _MICRO_BLUR_VOXELS) * shade + ring
        plane += random.standard_normal(plane.shape, dtype=np.float32) * np.float32(noise)
        result[z] = np.rint(plane).clip(0, 32767)
    done = f"simulated µCT: noise {noise:g}, rings {rings:g}, {'in a cylinder, ' if cylinder else ''}seed {seed}"
    return truth.with_data(result, done, modality="micro", units="raw")


def _rings(radius: NDArray[np.float32], deviation: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Concentric offsets of a few miscalibrated detector elements, the same in every slice."""
    elements = max(radius.shape) // 2
    offsets = random.normal(0, deviation, elements + 1) * (random.random(elements + 1) < 0.15)
    index = np.minimum((radius * elements / np.sqrt(2)).astype(np.intp), elements)
    return offsets[index].astype(np.float32)


def _outline(angle: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float32]:
    """Radius of an irregular round specimen, as a share of half the field of view."""
    waves = sum(
        random.normal(0, 0.03 / order) * np.cos(order * angle + random.uniform(0, 2 * np.pi)) for order in range(2, 7)
    )
    return (0.75 + np.asarray(waves)).astype(np.float32)
