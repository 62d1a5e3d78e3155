"""Parallel rays through a slice: line integrals, and backprojection, its adjoint.

scikit-image turns about the pixel ``n // 2``, half a pixel off the middle of an even slice, and its rays are as far
apart as its pixels; here both are free.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ParallelBeam:
    """Rays of half a turn through a slice, in mm.

    Attributes
    ----------
    shape : (y, x)
        Number of voxels of the slice.
    voxel : (y, x) in mm
    pitch
        Distance of rays in mm.
    margin
        Length in mm by which the detector reaches beyond the slice on either side.
    """

    shape: tuple[int, int]
    voxel: tuple[float, float]
    pitch: float
    margin: float = 0.0

    @cached_property
    def _places(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Place of rows and of columns in mm from the middle of the slice."""
        y, x = ((np.arange(n) - (n - 1) / 2) * edge for n, edge in zip(self.shape, self.voxel, strict=True))
        return y[:, None], x[None]

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """Place of each ray on the detector, in mm from the middle of the slice."""
        corner = math.dist((0, 0), [n * edge / 2 for n, edge in zip(self.shape, self.voxel, strict=True)])
        half = corner + self.margin
        count = int(np.ceil(half / self.pitch)) + 1
        return np.asarray(np.arange(-count, count + 1) * self.pitch, np.float64)

    @cached_property
    def angles(self) -> NDArray[np.float64]:
        """Directions in radians, so many that a corner moves by no more than two rays from one to the next."""
        corner = -self.positions[0] - self.margin
        count = int(np.ceil(np.pi * corner / (2 * self.pitch)))
        return np.asarray(np.arange(count) * (np.pi / count), np.float64)

    def _ray(self, angle: float) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """The ray below each voxel's place on the detector, and how far it is to the next, 0 to 1."""
        y, x = self._places
        place = (x * np.cos(angle) + y * np.sin(angle) - self.positions[0]) / self.pitch
        below = np.floor(place).astype(np.intp)
        return below, place - below

    def project(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the line integrals of a slice ``(y, x)``, in its units times mm, ``(angles, positions)``."""
        length = len(self.positions)
        found = np.empty((len(self.angles), length))
        for row, angle in enumerate(self.angles):
            below, share = self._ray(angle)
            lower = np.bincount(below.ravel(), (image * (1 - share)).ravel(), length)
            found[row] = lower + np.bincount(below.ravel() + 1, (image * share).ravel(), length)
        return found * (self.voxel[0] * self.voxel[1] / self.pitch)

    def backproject(self, rays: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the integral over all directions of the ray through each voxel, ``(y, x)``."""
        total = np.zeros(self.shape)
        for row, angle in zip(rays, self.angles, strict=True):
            below, share = self._ray(angle)
            total += row[below] * (1 - share) + row[below + 1] * share
        return total * (np.pi / len(self.angles))
