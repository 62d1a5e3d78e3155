"""Which parts of an enhanced volume to show: the best, the middling and the worst one, by rule and not by taste."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.metrics.consistency import consistency_map
from ctloupe.scanner.voxel import block_mean
from ctloupe.volume.volume import Volume

SIDE: Final = 16
"""Side of a crop, in voxels of the scan."""

LEAST_MASK: Final = 0.6
RANKS: Final = ("best", "median", "worst")


@dataclass(frozen=True)
class Crop:
    """A square of one slice, in voxels of the scan.

    Attributes
    ----------
    rank
        ``best``, ``median`` or ``worst``.
    error
        Mean absolute difference to the truth there, or to the scan when there is no truth, in HU.
    z, y, x, side
        Slice, first row and column, and side.
    """

    rank: str
    error: float
    z: int
    y: int
    x: int
    side: int

    def of(self, volume: Volume, scale: int) -> NDArray[np.float32]:
        """Its voxels in a volume that is `scale` times finer than the scan in y and x."""
        rows, columns = (slice(at * scale, (at + self.side) * scale) for at in (self.y, self.x))
        return np.asarray(volume.data[self.z], np.float32)[rows, columns]


def ranked_crops(
    enhanced: Volume, scan: Volume, truth: Volume | None, mask: NDArray[np.bool_] | None, scale: int
) -> list[Crop]:
    """Cut all slices into squares and choose the one of least, of median and of largest error.

    Parameters
    ----------
    enhanced
        The volume that is judged.
    scan
        What it was made from.
    truth
        The truth on the grid of `enhanced`; None: the error is that of its block means against the scan.
    mask
        Where to compare, on the grid of the scan; a square counts when three fifths of it are inside.
    scale
        Fine voxels a scan voxel.
    """
    side = min(SIDE, *scan.shape[1:])
    rows, columns = scan.shape[1] // side, scan.shape[2] // side
    errors = np.full((scan.shape[0], rows, columns), np.nan)
    for z in range(scan.shape[0]):
        inside = np.ones(scan.shape[1:], bool) if mask is None else mask[z]
        share = _squares(inside.astype(np.float32), side)
        if not (share >= LEAST_MASK).any():
            continue
        plane = np.asarray(enhanced.data[z], np.float32)
        if truth is None:
            off = np.abs(consistency_map(plane, np.asarray(scan.data[z]), scale=scale))
        else:
            off = block_mean(np.abs(plane - np.asarray(truth.data[z], np.float32)), scale)
        errors[z] = np.where(share >= LEAST_MASK, _squares(off, side), np.nan)
    order = np.argsort(errors, axis=None)[: int(np.isfinite(errors).sum())]
    if not order.size:
        return []
    chosen = dict(zip(RANKS, (order[0], order[len(order) // 2], order[-1]), strict=True))
    return [_crop(rank, int(at), errors, side) for rank, at in chosen.items()]


def _squares(plane: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    height, width = (length // side * side for length in plane.shape)
    return block_mean(plane[:height, :width], side)


def _crop(rank: str, at: int, errors: NDArray[np.float64], side: int) -> Crop:
    z, row, column = (int(one) for one in np.unravel_index(at, errors.shape))
    return Crop(rank, float(errors[z, row, column]), z, row * side, column * side, side)
