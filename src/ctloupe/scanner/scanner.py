"""A clinical scanner as a record: point spread, slice profile, voxel, noise and intensities, in mm and HU."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import OptionError
from ctloupe.scanner.noise import NoiseSpectrum
from ctloupe.scanner.point_spread import FWHM_PER_SIGMA, gaussian_transfer
from ctloupe.scanner.slice_profile import SliceProfile
from ctloupe.scanner.voxel import voxel_transfer
from ctloupe.volume.geometry import Triple


@dataclass(frozen=True)
class Kernel:
    """A reconstruction kernel.

    Attributes
    ----------
    fwhm
        Full width at half maximum of the in-plane point spread before averaging over the voxel, in clinical voxels.
    roll_off
        Roll-off of the noise in cycles a voxel; a sharp kernel lets fine noise through.
    """

    fwhm: float
    roll_off: float


KERNELS: Final = {"smooth": Kernel(1.4, 0.18), "standard": Kernel(0.9, 0.3), "sharp": Kernel(0.6, 0.6)}
"""Kernels by name, from one for soft tissue to one for bone; the amount of noise is stated apart from its fineness."""


@dataclass(frozen=True)
class Scanner:
    """What a clinical scanner does to the body: ``scan = A (gain · body + offset) + noise``.

    The linear operator A is the slice profile, then the in-plane point spread, then the average over the voxel; see
    `operator.ScannerOperator`.

    Attributes
    ----------
    voxel : (z, y, x) in mm
        Distance of slices, rows and columns of the scan.
    blur
        Standard deviation in mm of the Gaussian in-plane point spread before the average over the voxel.
    noise
        Standard deviation of the noise in HU.
    spectrum
        Shape of the power spectrum of the noise.
    profile
        Slice profile; by default a slice is as thick as slices are apart.
    gain, offset
        Line from the values of the fine image to HU: HU a unit, and HU at 0.
    """

    voxel: Triple
    blur: float
    noise: float = 0.0
    spectrum: NoiseSpectrum = field(default_factory=NoiseSpectrum)
    profile: SliceProfile | None = None
    gain: float = 1.0
    offset: float = 0.0

    @classmethod
    def with_kernel(cls, kernel: str, voxel: Triple, noise: float = 0.0) -> Scanner:
        """Return a scanner that reconstructs with a named kernel on voxels of this size.

        Parameters
        ----------
        kernel
            One of `KERNELS`.
        voxel : (z, y, x) in mm
        noise
            Standard deviation of the noise in HU.

        Raises
        ------
        OptionError
            If there is no such kernel.
        """
        if kernel not in KERNELS:
            raise OptionError(f"kernel {kernel}: expected one of {', '.join(KERNELS)}")
        found = KERNELS[kernel]
        return cls(voxel, found.fwhm * voxel[2] / FWHM_PER_SIGMA, noise, NoiseSpectrum(1.0, found.roll_off))

    @property
    def slice_profile(self) -> SliceProfile:
        """The slice profile that is given, or that of slices without gap or overlap."""
        return SliceProfile(self.voxel[0]) if self.profile is None else self.profile

    @property
    def fwhm(self) -> float:
        """Full width at half maximum of the point spread in mm, before the average over the voxel."""
        return self.blur * FWHM_PER_SIGMA

    @property
    def blur_voxels(self) -> float:
        """Standard deviation of the point spread in clinical voxels."""
        return self.blur / self.voxel[2]

    def transfer(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of a sine's amplitude that is left along a row of the scan, voxel included.

        Parameters
        ----------
        frequency
            Spatial frequency in cycles a millimetre.
        """
        return gaussian_transfer(frequency, self.blur) * voxel_transfer(frequency, self.voxel[2])

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain data, with units in the names."""
        profile = self.slice_profile
        return {
            "voxel_mm": list(self.voxel),
            "blur_mm": self.blur,
            "blur_voxels": self.blur_voxels,
            "fwhm_mm": self.fwhm,
            "noise_hu": self.noise,
            "noise_spectrum": asdict(self.spectrum),
            "slice_thickness_mm": profile.thickness,
            "slice_softness": profile.softness,
            "gain": self.gain,
            "offset_hu": self.offset,
        }
