"""The same voxels in another order of storage: axes exchanged and reversed, nothing resampled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctloupe.volume.geometry import Direction, Triple, as_direction
from ctloupe.volume.volume import Volume


def turned_onto(volume: Volume, direction: Direction) -> Volume:
    """Return `volume` stored so that its index axes run along those of `direction`, as nearly as axes can.

    Every voxel keeps its value and its place in space. Scans are stored in many orders (RAS by most writers of NIfTI,
    LPS in DICOM), and axes that are exchanged or reversed are no difference between two grids.

    Parameters
    ----------
    volume
        The volume; its voxels are read.
    direction
        3×3 matrix whose columns are the LPS unit vectors of the wanted x, y and z index axes.

    Returns
    -------
    Volume
        `volume` itself where its axes run so already.
    """
    # Axes here are those of the arrays: z, y, x.
    own = np.asarray(volume.direction)[:, ::-1]
    wanted = np.asarray(direction)[:, ::-1]
    along = wanted.T @ own
    order = np.abs(along).argmax(axis=1)
    if sorted(order) != [0, 1, 2]:
        return volume
    backwards = [along[to, source] < 0 for to, source in enumerate(order)]
    if list(order) == [0, 1, 2] and not any(backwards):
        return volume
    data = np.transpose(volume.array(), order)[tuple(slice(None, None, -1 if one else 1) for one in backwards)]
    first = [0.0, 0.0, 0.0]
    for source, reverse in zip(order, backwards, strict=True):
        first[source] = volume.shape[source] - 1.0 if reverse else 0.0
    signs = np.where(backwards, -1.0, 1.0)
    axes = (own[:, order] * signs)[:, ::-1]
    spacing: Triple = tuple(volume.spacing[one] for one in order)  # type: ignore[assignment]
    origin: Triple = tuple(float(value) for value in volume.physical((first[0], first[1], first[2])))  # type: ignore[assignment]
    return replace(volume, data=data, spacing=spacing, origin=origin, direction=as_direction(axes))
