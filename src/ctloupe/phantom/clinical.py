"""A phantom in a clinical CT, in Hounsfield units.

The scan is that of the scanner room: a slice profile, a Gaussian point spread, averaging over coarse voxels, and noise
with the ramp-shaped power spectrum of filtered backprojection; or that of a scanner of another family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.config import require_possible
from ctloupe.scanner.other_scanner import OtherScanner, combined, with_parts
from ctloupe.scanner.point_spread import FWHM_PER_SIGMA
from ctloupe.scanner.scanner import Scanner
from ctloupe.volume.volume import Volume


def clinical_scan(
    truth: Volume,
    scale: int = 8,
    slices: int = 8,
    *,
    fwhm_mm: float | None = None,
    noise_hu: float = 20.0,
    kernel: str = "standard",
    parts: Sequence[str] = (),
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
    parts
        What the scanner differs by from the usual ones: names of `ctloupe.scanner.other_scanner.PARTS`.
    seed
        Seed of the noise.

    Returns
    -------
    Volume
        int16 HU over the same physical extent.

    Raises
    ------
    OptionError
        If a size is not divisible, naming the nearest ones that are, or there is no such kernel or part of a scanner.
    """
    require_possible(parts, kernel, fwhm_mm)
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
    made = f"{kernel} kernel, point spread {scanner.fwhm:.3g} mm, noise {noise_hu:g} HU, seed {seed}"
    if not parts:
        return scanned(truth, scanner, seed, f"simulated clinical CT: {made}")
    other = with_parts(scanner, parts)
    if other.ringing is not None:
        made = f"noise {noise_hu:g} HU, seed {seed}"
    return scanned(truth, other, seed, f"simulated clinical CT of another family: {combined(parts).meaning}; {made}")


def scanned(truth: Volume, scanner: Scanner | OtherScanner, seed: int, done: str) -> Volume:
    """Scan a fine volume in HU with a scanner whose voxels are whole multiples of the fine ones.

    Parameters
    ----------
    truth
        Anatomy in HU on the fine grid, of lengths that the multiples divide.
    scanner
        What scans; its gain and offset are not applied, since the truth is in HU.
    seed
        Seed of the noise.
    done
        What is added to the history.

    Returns
    -------
    Volume
        int16 HU over the same physical extent.

    Raises
    ------
    GeometryError
        If the voxels of the scanner are not whole multiples.
    """
    whole = OtherScanner(scanner) if isinstance(scanner, Scanner) else scanner
    image = whole.seen(truth.data, truth.spacing)
    if whole.usual.noise > 0:
        image += whole.noise(image, np.random.default_rng((seed, 1)))
    z, y, x = ((fine / coarse - 1) / 2 for fine, coarse in zip(truth.shape, image.shape, strict=True))
    origin = truth.physical((z, y, x))
    limits = np.iinfo(np.int16)
    return truth.with_data(
        np.rint(image).clip(limits.min, limits.max).astype(np.int16),
        done,
        spacing=scanner.voxel,
        origin=tuple(float(value) for value in origin),
        modality="clinical",
        units="HU",
    )
