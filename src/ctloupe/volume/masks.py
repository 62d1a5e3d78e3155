"""Masks that people give as files: read when they lie on the grid of the scan, in whatever order they are stored."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import GeometryError
from ctloupe.foundation.location import Location
from ctloupe.volume.formats import read
from ctloupe.volume.geometry import orientation_code, same_direction, same_spacing
from ctloupe.volume.orientation import turned_onto
from ctloupe.volume.volume import Volume

ORIGIN_TOLERANCE: Final = 0.05
"""Largest distance of the first voxels, in units of the smallest voxel side."""

DIRECTION_TOLERANCE: Final = 1e-3
"""Largest difference of a direction cosine; other programs round more coarsely than this package does."""


def read_mask(path: Location | str, scan: Volume, option: str) -> NDArray[np.bool_]:
    """Read a mask that lies on the grid of a scan.

    Parameters
    ----------
    path
        File or folder in any readable format. Voxels that are not zero are inside. Axes may be exchanged or reversed,
        as other programs store them.
    scan
        Volume whose grid the mask has to have; its voxels are not read.
    option
        Name of the option that gave the mask, for messages.

    Returns
    -------
    array of shape (z, y, x)
        Array that is true inside the mask.

    Raises
    ------
    GeometryError
        If shape, voxel spacing, direction or origin are not those of the scan; one line says which, and by how much.
    FileError, IntensityError
        If the file cannot be read.
    """
    stored = read(path)
    given = turned_onto(stored, scan.direction)
    found = _differences(given, scan)
    if found:
        order = orientation_code(stored.direction)
        turned = "" if given is stored else f" (stored as {order}, compared as {orientation_code(scan.direction)})"
        raise GeometryError(
            f"`{option}` {path}: is not on the grid of the scan{turned}: {'; '.join(found)}; make the mask on the "
            "scan's grid"
        )
    return given.array() != 0


def _differences(given: Volume, scan: Volume) -> list[str]:
    """Say in words how the grid of a mask differs from the scan's."""
    found: list[str] = []
    if given.shape != scan.shape:
        found.append(f"{_sizes(given.shape)} voxels where the scan has {_sizes(scan.shape)}")
    if not same_spacing(given.spacing, scan.spacing):
        found.append(f"voxel spacing {_sizes(given.spacing)} mm (z, y, x) where the scan has {_sizes(scan.spacing)} mm")
    if not same_direction(given.direction, scan.direction, DIRECTION_TOLERANCE):
        found.append(f"axes turned by {_degrees(given, scan):.3g}°")
    apart = float(np.linalg.norm(np.subtract(given.origin, scan.origin)))
    if apart > ORIGIN_TOLERANCE * min(scan.spacing):
        found.append(f"the first voxel {apart:.4g} mm away")
    return found


def _sizes(values: tuple[float, ...]) -> str:
    return "×".join(f"{value:.6g}" for value in values)


def _degrees(given: Volume, scan: Volume) -> float:
    """Return the largest angle between the axes of two grids, in degrees."""
    cosines = np.sum(np.array(given.direction) * np.array(scan.direction), axis=0)
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).max())
