"""Where to look: a box in the frame of a scene, given in voxels of the scan or chosen by rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.display.scene import Scene
from ctloupe.display.tiles import IN_PLANE
from ctloupe.foundation.errors import CtLoupeError
from ctloupe.images.squares import sums_over
from ctloupe.prepare.masks import mask_of
from ctloupe.volume.volume import Volume

SIDE: Final = 64
"""Side of a chosen box in voxels of the scan."""

_LEAST_INSIDE: Final = 0.6
_NEAR: Final = 8

Region = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Box:
    """A box in the frame of a scene.

    Attributes
    ----------
    low, high : (z, y, x)
        Ends along the axes of the frame in mm.
    normal
        Axis of the frame (0: z) that is normal to the scan's slices.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    normal: int

    @property
    def middle(self) -> tuple[float, float, float]:
        """Position (z, y, x) of its middle in mm."""
        z, y, x = ((low + high) / 2 for low, high in zip(self.low, self.high, strict=True))
        return z, y, x


def box_of(scene: Scene, region: Region) -> Box:
    """Return the box of a region of the first volume, whose voxels are counted as in its file."""
    volume, placed = scene.layers[0].volume, scene.tiles[0].finest
    corners = [
        scene.frame.coordinates(volume.physical((z - 0.5, y - 0.5, x - 0.5)))[::-1]
        for z in (region[0].start, region[0].stop)
        for y in (region[1].start, region[1].stop)
        for x in (region[2].start, region[2].stop)
    ]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    (z0, y0, x0), (z1, y1, x1) = low.tolist(), high.tolist()
    return Box((z0, y0, x0), (z1, y1, x1), placed.normal)


def telling_region(
    scan: Volume, window: tuple[float, float], region: Region, mask: NDArray[np.bool_] | None, side: int = SIDE
) -> Region:
    """Choose the square of the middle slice of a region of a scan that varies most within a window.

    Parameters
    ----------
    scan
        Volume.
    window
        Values beyond it do not count as varying: the rim of the body would win always.
    region
        Where to choose.
    mask
        Three fifths of the square are inside of it, where there is such a square; None: anywhere.
    side
        Side in voxels; smaller where the region is.
    """
    rows, columns = region[1], region[2]
    z = fullest(mask, region[0])
    plane = np.asarray(scan.data[z, rows, columns], np.float64).clip(*window)
    tall, wide = min(side, plane.shape[0]), min(side, plane.shape[1])
    step = max(1, side // 8)
    mean = sums_over(plane, tall, wide)[::step, ::step] / (tall * wide)
    varying = sums_over(plane**2, tall, wide)[::step, ::step] / (tall * wide) - mean**2
    if mask is not None:
        inside = sums_over(mask[z, rows, columns], tall, wide)[::step, ::step] / (tall * wide)
        varying = np.where(inside >= min(_LEAST_INSIDE, inside.max()), varying, -1.0)
    top, left = np.unravel_index(int(np.argmax(varying)), varying.shape)
    y, x = rows.start + int(top) * step, columns.start + int(left) * step
    return slice(z, z + 1), slice(y, y + tall), slice(x, x + wide)


def lungs_of(scan: Volume, slices: slice) -> NDArray[np.bool_] | None:
    """Mask of the lungs, true in the middle of a run of slices alone; None where no lungs are found."""
    middle = (slices.start + slices.stop) // 2
    near = slice(max(slices.start, middle - _NEAR), min(slices.stop, middle + _NEAR))
    try:
        found = mask_of("lungs", scan.crop(near))
    except CtLoupeError:
        return None
    if found is None or not found.any():
        return None
    mask = np.zeros(scan.shape, bool)
    mask[near] = found
    return mask


def fullest(mask: NDArray[np.bool_] | None, slices: slice) -> int:
    """The middle one of some slices, or of a mask the one with most inside."""
    if mask is None:
        return (slices.start + slices.stop - 1) // 2
    return slices.start + int(np.argmax(mask[slices].sum((1, 2))))


def in_plane(box: Box) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ends of a box down and across the scan's slices, in mm."""
    down, across = IN_PLANE[box.normal]
    return (box.low[down], box.high[down]), (box.low[across], box.high[across])
