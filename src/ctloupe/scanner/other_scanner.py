"""A second family of scanners: what a Gaussian point spread and noise that is alike everywhere leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import OptionError
from ctloupe.scanner.body import CHEST, SHOULDERS, Body
from ctloupe.scanner.motion import Motion
from ctloupe.scanner.noise import PowerSpectrum, exact_noise
from ctloupe.scanner.operator import ScannerOperator
from ctloupe.scanner.plane_filter import filtered
from ctloupe.scanner.projection_noise import projection_noise
from ctloupe.scanner.ringing import Ringing
from ctloupe.scanner.scanner import Scanner
from ctloupe.volume.geometry import Triple


@dataclass(frozen=True)
class OtherScanner:
    """A clinical scanner that differs from the usual ones in kind.

    Attributes
    ----------
    usual
        Voxel, slice profile, amount of noise, and whatever else is not replaced.
    ringing
        Point spread in place of the Gaussian one, and with it the spectrum of the noise.
    motion
        Movement during the scan.
    body
        What lies around and decides, with what is scanned, where and in which direction noise is strong; None: noise is
        alike everywhere.
    """

    usual: Scanner
    ringing: Ringing | None = None
    motion: Motion | None = None
    body: Body | None = None

    @property
    def voxel(self) -> Triple:
        """Distance (z, y, x) of slices, rows and columns of the scan in mm."""
        return self.usual.voxel

    @property
    def spectrum(self) -> PowerSpectrum:
        """Shape of the power spectrum of the noise."""
        return self.usual.spectrum if self.ringing is None else self.ringing

    def seen(self, fine: Any, spacing: Triple) -> NDArray[Any]:
        """Return what the scanner sees of a fine image in HU, without noise; constants and places are kept.

        Parameters
        ----------
        fine : (z, y, x)
            Array or lazily read.
        spacing : (z, y, x) in mm
            Voxels of the fine grid; those of the scanner must be whole multiples.

        Returns
        -------
        array on the grid of the scanner

        Raises
        ------
        GeometryError
            If its voxels are not whole multiples.
        """
        usual = self.usual if self.ringing is None else replace(self.usual, blur=0.0)
        operator = ScannerOperator(usual, spacing)
        slices = operator.slices(fine)
        if self.ringing is not None or self.motion is not None:
            slices = filtered(slices, self._transfer, (1 / operator.factors[1], 1 / operator.factors[2]))
        return operator.in_plane(slices)

    def _transfer(self, along_y: NDArray[np.float64], along_x: NDArray[np.float64]) -> NDArray[np.float64]:
        factor = np.ones(np.broadcast_shapes(along_y.shape, along_x.shape))
        if self.ringing is not None:
            factor *= self.ringing.transfer(np.hypot(along_y, along_x))
        if self.motion is not None:
            factor *= self.motion.transfer(along_y, along_x)
        return factor

    def noise(self, image: NDArray[Any], random: np.random.Generator) -> NDArray[np.float32]:
        """Draw the noise in HU of a scan ``(z, y, x)`` in HU without noise; its own standard deviation is as stated."""
        if self.body is None:
            z, y, x = image.shape
            return exact_noise((z, y, x), self.usual.noise, self.spectrum, random)
        drawn = projection_noise(image, self.voxel[1:], self.usual.noise, self.spectrum, self.body, random)
        return drawn * np.float32(self.usual.noise / max(float(drawn.std()), 1e-12))


@dataclass(frozen=True)
class Part:
    """One thing by which a scanner differs from the usual ones.

    Attributes
    ----------
    meaning
        What it is, as part of a sentence.
    ringing, motion, body
        See `OtherScanner`; None: as usual.
    """

    meaning: str
    ringing: Ringing | None = None
    motion: Motion | None = None
    body: Body | None = None


PARTS: Final = {
    "ringing": Part("sharp kernel that overshoots", ringing=Ringing()),
    "wide-body": Part("noise behind a chest", body=CHEST),
    "streaks": Part("noise behind shoulders", body=SHOULDERS),
    "motion": Part("even movement over 2.5 voxels", motion=Motion(2.5)),
    "double-edge": Part("two states 2.5 voxels apart", motion=Motion(2.5, 120.0, states=True)),
}
"""What a scanner can differ by, by name; those that replace different things can be had together."""


def with_parts(usual: Scanner, names: Sequence[str]) -> OtherScanner:
    """Return a scanner that differs from a usual one in the parts that are named.

    Parameters
    ----------
    usual
        What is not replaced.
    names
        Names of `PARTS`.

    Raises
    ------
    OptionError
        See `combined`.
    """
    whole = combined(names)
    return OtherScanner(usual, whole.ringing, whole.motion, whole.body)


def combined(names: Sequence[str]) -> Part:
    """Return several parts as one.

    Raises
    ------
    OptionError
        If there is no such part, or two of them replace the same.
    """
    whole = Part("")
    for name in names:
        if name not in PARTS:
            raise OptionError(f"`scanner` {name}: expected one or several of {', '.join(PARTS)}")
        part = PARTS[name]
        new = {key: value for key, value in vars(part).items() if key != "meaning" and value is not None}
        if any(getattr(whole, key) is not None for key in new):
            raise OptionError(f"`scanner` {' '.join(names)}: {name} replaces what another of them replaces")
        whole = replace(whole, meaning=", ".join(filter(None, (whole.meaning, part.meaning))), **new)
    return whole
