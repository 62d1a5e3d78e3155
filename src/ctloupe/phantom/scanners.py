"""Two scanners for one anatomy: a clinical CT in Hounsfield units and a µCT in raw units.

The clinical scan is that of the scanner room: a slice profile, a Gaussian point spread, averaging over coarse voxels,
and noise with the ramp-shaped power spectrum of filtered backprojection. The µCT is a fixed specimen with contrast of
its own, a small blur, white noise, mild rings and cupping, and on request a plastic cylinder.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomy import AIR_HU, TISSUE_HU, Label
from ctloupe.scanner.noise import exact_noise
from ctloupe.scanner.operator import ScannerOperator
from ctloupe.scanner.point_spread import FWHM_PER_SIGMA
from ctloupe.scanner.scanner import Scanner
from ctloupe.volume.volume import Volume

MICRO_AIR: Final = 2500.0
MICRO_TISSUE: Final = 11500.0
MICRO_BLOOD: Final = 12500.0
MICRO_PLASTIC: Final = 6000.0
_MICRO_BLUR_VOXELS: Final = 0.5
_CUPPING: Final = 0.03


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
        Anatomy in HU on the fine grid.
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
        One of `ctloupe.scanner.scanner.KERNELS`.
    seed
        Seed of the noise.

    Returns
    -------
    Volume
        int16 HU over the same physical extent.

    Raises
    ------
    OptionError
        If a size is not divisible, naming the nearest ones that are, or there is no such kernel.
    """
    factors = (slices, scale, scale)
    z, y, x = (value * factor for value, factor in zip(truth.spacing, factors, strict=True))
    scanner = Scanner.with_kernel(kernel, (z, y, x), noise_hu)
    if any(length % factor for length, factor in zip(truth.shape, factors, strict=True)):
        near = " ".join(str(max(f, round(n / f) * f)) for n, f in zip(truth.shape, factors, strict=True))
        raise OptionError(
            f"phantom size {' '.join(map(str, truth.shape))} cannot be divided by {factors}; the nearest is {near}"
        )
    if fwhm_mm is not None:
        scanner = replace(scanner, blur=fwhm_mm / FWHM_PER_SIGMA)
    image = ScannerOperator(scanner, truth.spacing).forward(truth.data)
    if noise_hu > 0:
        image += exact_noise(image.shape, noise_hu, scanner.spectrum, np.random.default_rng((seed, 1)))
    origin = truth.physical(((slices - 1) / 2, (scale - 1) / 2, (scale - 1) / 2))
    limits = np.iinfo(np.int16)
    return truth.with_data(
        np.rint(image).clip(limits.min, limits.max).astype(np.int16),
        f"simulated clinical CT: {kernel} kernel, point spread {scanner.fwhm:.3g} mm, noise {noise_hu:g} HU, "
        f"seed {seed}",
        spacing=scanner.voxel,
        origin=tuple(float(value) for value in origin),
        modality="clinical",
        units="HU",
    )


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
