"""Where a volume lies in napari's world, and back.

napari's world has the axes of the arrays. Here they are millimetres of LPS in the order (z, y, x), so that volumes of
one patient lie on each other whatever grid each has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import GeometryError
from ctloupe.volume import geometry
from ctloupe.volume.volume import Volume


def placed(volume: Volume) -> dict[str, Any]:
    """Return the keywords that put a layer of `volume` where the volume is.

    The voxel size is always the layer's ``scale``. The rest is its ``translate``, or where the direction is not the
    identity an ``affine`` of rotation and origin alone.
    """
    origin = np.asarray(volume.origin)[::-1]
    if volume.direction == geometry.IDENTITY:
        return {"scale": volume.spacing, "translate": tuple(float(one) for one in origin)}
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(volume.direction)[::-1, ::-1]
    affine[:3, 3] = origin
    return {"scale": volume.spacing, "affine": affine}


def place_of(
    data_to_world: Callable[[Sequence[float]], Sequence[float]],
) -> tuple[geometry.Triple, geometry.Triple, geometry.Direction]:
    """Return spacing, origin and direction of a layer from where it puts its voxels.

    Parameters
    ----------
    data_to_world
        What takes an index (z, y, x) to the world: the method of that name of a layer.

    Raises
    ------
    GeometryError
        If the layer is sheared, or its voxels have no size.
    """
    origin = _point(data_to_world((0.0, 0.0, 0.0)))
    matrix = np.eye(4)
    matrix[:3, 3] = origin[::-1]
    for axis in range(3):
        step = [0.0, 0.0, 0.0]
        step[2 - axis] = 1.0
        matrix[:3, axis] = (_point(data_to_world(step)) - origin)[::-1]
    try:
        return geometry.from_affine_lps(matrix)
    except GeometryError as error:
        raise GeometryError(f"the layer cannot be taken as a volume: {error}") from error


def _point(values: Sequence[float]) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)
