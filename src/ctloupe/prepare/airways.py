"""The trachea and main bronchi, which are air inside the chest but not lung."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctloupe.prepare.morphology import dilated, opened
from ctloupe.volume.geometry import Triple

Mask = NDArray[np.bool_]

_IN_PLANE = np.array([[[0, 0, 0]] * 3, [[0, 1, 0], [1, 1, 1], [0, 1, 0]], [[0, 0, 0]] * 3], dtype=bool)
# Lumen of an adult or child trachea: 8 to 28 mm across.
_LUMEN_MM2 = (45.0, 650.0)
_LUMEN_SIDE_MM = (6.0, 34.0)
_LUMEN_HU = -880.0
_SHORTEST_MM = 25.0
# The main bronchi end within this distance below the carina.
_BELOW_CARINA_MM = 60.0
_LARGEST_ML = 120.0
_WALL_MM = 2.5


def central_airways(air: Mask, values: NDArray[np.float32], spacing: Triple) -> Mask:
    """Find trachea and main bronchi with their walls; nothing where no trachea is in view.

    Parameters
    ----------
    air : bool array in the order (inferior to superior, anterior to posterior, right to left)
        Voxels of air inside the body.
    values : array of the same shape
        Intensities in HU.
    spacing
        Spacing of that array in mm, in its order.

    Returns
    -------
    bool array of the same shape
    """
    trachea = _trachea(air, values, spacing)
    if not trachea.any():
        return trachea
    lumen = _grown(trachea, air, values, spacing)
    # Narrower bronchi run inside the lung and stay part of it.
    wide = opened(lumen, 2.6, spacing) | trachea
    return dilated(wide, _WALL_MM, spacing)


def _trachea(air: Mask, values: NDArray[np.float32], spacing: Triple) -> Mask:
    """Find the longest column of round sections of air that reaches the upper half of the view."""
    labels, count = ndimage.label(air, structure=_IN_PLANE)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    dark = np.bincount(labels[air & (values < _LUMEN_HU)], minlength=count + 1) / np.maximum(sizes, 1)
    area = sizes * spacing[1] * spacing[2]
    round_section = np.zeros(count + 1, dtype=bool)
    boxes = ndimage.find_objects(labels)
    for one in np.flatnonzero((area > _LUMEN_MM2[0]) & (area < _LUMEN_MM2[1]) & (dark > 0.4)):
        if one == 0:
            continue
        _, rows, columns = boxes[one - 1]
        height, width = (rows.stop - rows.start) * spacing[1], (columns.stop - columns.start) * spacing[2]
        short, long = min(height, width), max(height, width)
        compact = area[one] > 0.5 * height * width and long < 2.2 * short
        cut = rows.start == 0 or columns.start == 0 or rows.stop == air.shape[1] or columns.stop == air.shape[2]
        round_section[one] = compact and short > _LUMEN_SIDE_MM[0] and long < _LUMEN_SIDE_MM[1] and not cut
    columns_3d, found = ndimage.label(round_section[labels])
    best: int = 0
    longest: float = _SHORTEST_MM
    for number, box in enumerate(ndimage.find_objects(columns_3d), start=1):
        length = (box[0].stop - box[0].start) * spacing[0]
        if length >= longest and box[0].stop > air.shape[0] / 2:
            best, longest = number, float(length)
    return columns_3d == best if found and best else np.zeros_like(air)


def _grown(trachea: Mask, air: Mask, values: NDArray[np.float32], spacing: Triple) -> Mask:
    """Grow a region from the trachea at rising thresholds; the last before it leaks into parenchyma is taken."""
    lowest = int(np.flatnonzero(trachea.any(axis=(1, 2)))[0])
    bottom = max(0, lowest - round(_BELOW_CARINA_MM / spacing[0]))
    voxel_ml = float(np.prod(spacing)) / 1000
    trachea, air, values = trachea[bottom:], air[bottom:], values[bottom:]
    start = int(np.count_nonzero(trachea))
    best, size = trachea, start
    for threshold in range(-980, -840, 10):
        labels, count = ndimage.label((air & (values < threshold)) | trachea)
        hit = np.zeros(count + 1, dtype=bool)
        hit[labels[trachea]] = True
        hit[0] = False
        grown = hit[labels]
        new = int(np.count_nonzero(grown))
        if new * voxel_ml > start * voxel_ml + _LARGEST_ML or new > 1.5 * size + 10 / voxel_ml:
            break
        best, size = grown, new
    return np.concatenate([np.zeros((bottom, *best.shape[1:]), bool), best])
