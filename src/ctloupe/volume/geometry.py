"""Where voxels are in space.

Index axes are ``(z, y, x)``; physical points are LPS ``(x, y, z)`` in millimetres, as DICOM and ITK have them.
``direction`` is ITK's matrix: its columns are the unit vectors of the x, y and z index axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import GeometryError

Triple = tuple[float, float, float]
Direction = tuple[Triple, Triple, Triple]

IDENTITY: Direction = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

SPACING_TOLERANCE = 0.10
"""Largest relative difference of in-plane spacing at which two images count as alike."""

GRID_SPACING_TOLERANCE = 1e-3
"""Largest relative difference of a voxel spacing on one grid: half a voxel over a row of 512."""

GRID_DIRECTION_TOLERANCE = 1e-4
"""Largest difference of a direction cosine between volumes that this package made of one another."""

# LPS <-> RAS: both flip the first two coordinates, so the map is its own inverse.
_LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def relative_difference(found: Sequence[float], wanted: Sequence[float]) -> float:
    """Largest relative difference of spacings along any axis: 0.1 where one is 10% larger than what is wanted."""
    return max(abs(one / other - 1) for one, other in zip(found, wanted, strict=True))


def same_spacing(found: Sequence[float], wanted: Sequence[float]) -> bool:
    """Whether voxels are of the same size, as far as a grid asks for: to `GRID_SPACING_TOLERANCE`."""
    return relative_difference(found, wanted) <= GRID_SPACING_TOLERANCE


def same_direction(found: Direction, wanted: Direction, tolerance: float = GRID_DIRECTION_TOLERANCE) -> bool:
    """Whether no direction cosine differs by more than `tolerance`."""
    return bool(np.abs(np.subtract(found, wanted)).max() <= tolerance)


def as_direction(matrix: Sequence[Sequence[float]] | NDArray[np.floating]) -> Direction:
    """Return `matrix` as a hashable 3×3 tuple.

    Raises
    ------
    GeometryError
        If the columns are not orthonormal to 1e-3.
    """
    array = np.asarray(matrix, dtype=np.float64)
    if array.shape != (3, 3) or not np.all(np.isfinite(array)):
        raise GeometryError(f"direction must be a finite 3×3 matrix, found shape {array.shape}")
    if np.abs(array.T @ array - np.eye(3)).max() > 1e-3:
        raise GeometryError(
            "direction is not orthonormal (a sheared or scaled affine); resample the volume to an orthogonal "
            "grid first, for instance with SimpleITK's Resample"
        )
    return _triple(array[0]), _triple(array[1]), _triple(array[2])


def _triple(values: Sequence[float] | NDArray[np.floating]) -> Triple:
    first, second, third = (float(value) for value in values)
    return first, second, third


def affine_lps(spacing: Triple, origin: Triple, direction: Direction) -> NDArray[np.float64]:
    """Return the 4×4 matrix that takes ``(x, y, z, 1)`` indices to LPS millimetres; `spacing` is ``(z, y, x)``."""
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(direction) * np.asarray(spacing[::-1])
    affine[:3, 3] = origin
    return affine


def affine_ras(spacing: Triple, origin: Triple, direction: Direction) -> NDArray[np.float64]:
    """Return the same as `affine_lps` in the RAS convention of NIfTI."""
    return _LPS_RAS @ affine_lps(spacing, origin, direction)


def from_affine_lps(affine: NDArray[np.floating]) -> tuple[Triple, Triple, Direction]:
    """Return spacing ``(z, y, x)``, origin and direction of a 4×4 index-to-LPS matrix.

    Raises
    ------
    GeometryError
        If the matrix has a shear or a zero column, which spacing and direction cannot express.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.all(np.isfinite(matrix)) or np.any(lengths <= 0):
        raise GeometryError("affine has a zero or non-finite column; the voxel size cannot be known")
    direction = as_direction(matrix[:3, :3] / lengths)
    return _triple(lengths[::-1]), _triple(matrix[:3, 3]), direction


def from_affine_ras(affine: NDArray[np.floating]) -> tuple[Triple, Triple, Direction]:
    """Return the same as `from_affine_lps` for the RAS convention of NIfTI."""
    with np.errstate(over="ignore", invalid="ignore"):
        turned = _LPS_RAS @ np.asarray(affine, dtype=np.float64)
    return from_affine_lps(turned)


def refined_grid(spacing: Triple, origin: Triple, direction: Direction, scale: int) -> tuple[Triple, Triple]:
    """Return spacing and origin of the grid that is `scale` times finer in y and x over the same extent in mm.

    Voxel *centres* move: the first fine centre lies ``(1/s − 1)/2`` coarse voxels from the first coarse one.
    """
    fine = (spacing[0], spacing[1] / scale, spacing[2] / scale)
    return fine, _shifted(origin, direction, spacing, (1 / scale - 1) / 2)


def coarsened_grid(spacing: Triple, origin: Triple, direction: Direction, scale: int) -> tuple[Triple, Triple]:
    """Return spacing and origin of the grid `scale` times coarser in y and x: the inverse of `refined_grid`."""
    coarse = (spacing[0], spacing[1] * scale, spacing[2] * scale)
    return coarse, _shifted(origin, direction, spacing, (scale - 1) / 2)


def _shifted(origin: Triple, direction: Direction, spacing: Triple, voxels: float) -> Triple:
    offset = np.asarray(direction) @ np.array([voxels * spacing[2], voxels * spacing[1], 0.0])
    return _triple(np.asarray(origin) + offset)


def cropped_origin(spacing: Triple, origin: Triple, direction: Direction, start: Sequence[int]) -> Triple:
    """Return the origin of the sub-volume whose first voxel has index `start` ``(z, y, x)``."""
    index = np.asarray(start, dtype=np.float64)[::-1]
    offset = np.asarray(direction) @ (index * np.asarray(spacing[::-1]))
    return _triple(np.asarray(origin) + offset)


def orientation_code(direction: Direction) -> str:
    """Return the letters of the directions in which x, y and z indices grow, as ``LPS``; ``~`` marks oblique."""
    letters = [("R", "L"), ("A", "P"), ("I", "S")]
    matrix = np.asarray(direction)
    code, oblique = "", False
    for axis in range(3):
        column = matrix[:, axis]
        main = int(np.argmax(np.abs(column)))
        oblique |= bool(abs(abs(column[main]) - 1) > 1e-4)
        code += letters[main][int(column[main] > 0)]
    return code + ("~" if oblique else "")
