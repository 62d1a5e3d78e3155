"""A scanner as a linear operator on arrays, with its adjoint."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import GeometryError
from ctloupe.scanner.point_spread import gaussian_taps, spread, spread_adjoint
from ctloupe.scanner.scanner import Scanner
from ctloupe.scanner.slice_profile import averaged, averaged_adjoint
from ctloupe.scanner.voxel import block_mean, block_mean_adjoint
from ctloupe.volume.geometry import Triple

_WHOLE = 1e-3
"""Relative difference from a whole number of fine voxels that counts as rounding."""


@dataclass(frozen=True)
class ScannerOperator:
    """The linear part A of a scanner between a fine grid and its own: slice profile, point spread, average over voxels.

    Attributes
    ----------
    scanner
        What is applied.
    spacing : (z, y, x) in mm
        Voxels of the fine grid; those of the scanner must be whole multiples.
    radius
        Fine voxels at which the point spread ends; by default three standard deviations.

    Raises
    ------
    GeometryError
        If the voxels of the scanner are not whole multiples.
    """

    scanner: Scanner
    spacing: Triple
    radius: int | None = None

    def __post_init__(self) -> None:
        whole = [abs(ratio - round(ratio)) <= _WHOLE * ratio and round(ratio) >= 1 for ratio in self._ratios]
        if not all(whole):
            sizes = ("×".join(f"{edge:.5g}" for edge in grid) for grid in (self.scanner.voxel, self.spacing))
            raise GeometryError("voxels of {} mm are not whole multiples of {} mm; resample first".format(*sizes))

    @property
    def _ratios(self) -> list[float]:
        return [coarse / fine for coarse, fine in zip(self.scanner.voxel, self.spacing, strict=True)]

    @cached_property
    def factors(self) -> tuple[int, int, int]:
        """Fine voxels a clinical voxel along z, y and x."""
        z, y, x = (round(ratio) for ratio in self._ratios)
        return z, y, x

    def weights(self, depth: int) -> NDArray[np.float64]:
        """Return the weights of `depth` fine slices in every clinical one; see `SliceProfile.weights`."""
        return self.scanner.slice_profile.weights(depth, self.factors[0], self.spacing[0])

    def taps(self, axis: int) -> NDArray[np.float64]:
        """Return the point spread along axis 1 or 2 on the fine grid."""
        return gaussian_taps(self.scanner.blur / self.spacing[axis], self.radius)

    def forward(self, fine: Any) -> NDArray[Any]:
        """Apply A: what the scanner sees of a fine image, without gain, offset and noise.

        Constants are kept. The point spread takes the outermost voxels to go on beyond the border.

        Parameters
        ----------
        fine : (z, y, x)
            Array or lazily read, of lengths that `factors` divides.

        Returns
        -------
        array of shape (z, y, x) over `factors`
            float64 for float64, float32 for everything else.
        """
        return self.in_plane(self.slices(fine))

    def slices(self, fine: Any) -> NDArray[Any]:
        """Average a fine image over the slice profile alone: ``(z, y, x)`` over the factor along z."""
        kind = np.float64 if fine.dtype == np.float64 else np.float32
        return averaged(fine, self.weights(fine.shape[0]), kind)

    def in_plane(self, slices: NDArray[Any]) -> NDArray[Any]:
        """Spread and average the slices of `slices` in their plane."""
        image = slices
        for axis in (1, 2):
            image = spread(image, self.taps(axis), axis)
        return block_mean(image, self.factors[1:], image.dtype)

    def adjoint(self, coarse: NDArray[Any]) -> NDArray[Any]:
        """Apply Aᵀ, so that ``⟨A x, y⟩ = ⟨x, Aᵀ y⟩``: each clinical voxel back to where it looked, ``(z, y, x)``."""
        image = block_mean_adjoint(coarse, self.factors[1:])
        for axis in (2, 1):
            image = spread_adjoint(image, self.taps(axis), axis)
        return averaged_adjoint(image, self.weights(coarse.shape[0] * self.factors[0]))
