"""Consistency: does the enhanced volume, averaged back down, say what the scan said?

A scanner blurs more than its voxel, so that the truth itself does not reach 0; see `scan_chi2` for the scanner's rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.metrics.base import SCAN, Accumulator, Metric
from ctloupe.evaluate.metrics.questions import AGREEMENT
from ctloupe.scanner.voxel import block_mean

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Setting


@dataclass(frozen=True)
class Consistency:
    """Root mean square and mean in HU of f↓(SR) − scan over the compared voxels."""

    rms_hu: float
    bias_hu: float


def consistency_map(enhanced: NDArray[Any], scan: NDArray[Any], *, scale: int) -> NDArray[np.float32]:
    """f↓(SR) − scan at each voxel of the scan, in HU."""
    return block_mean(enhanced, scale) - np.asarray(scan, dtype=np.float32)


class ConsistencySum:
    """Sums of f↓(SR) − scan, slice by slice.

    Parameters
    ----------
    scale
        s.
    """

    def __init__(self, scale: int) -> None:
        self._scale = scale
        self._squares = self._total = 0.0
        self._count = 0

    def add(self, enhanced: NDArray[Any], scan: NDArray[Any], mask: NDArray[np.bool_] | None) -> None:
        """Take a slice of both volumes in HU into account, where `mask`, on the grid of the scan, is True."""
        off = consistency_map(enhanced, scan, scale=self._scale)
        counted = off.ravel() if mask is None else off[mask]
        if counted.size:
            self._squares += float(np.square(counted).sum(dtype=np.float64))
            self._total += float(counted.sum(dtype=np.float64))
            self._count += counted.size

    def result(self) -> Consistency:
        """What the sums come to; `ValueError` when nothing counted."""
        if self._count == 0:
            raise ValueError("the mask is empty: there is nothing to compare")
        return Consistency(float(np.sqrt(self._squares / self._count)), self._total / self._count)


def consistency(enhanced: Any, scan: Any, *, scale: int, mask: NDArray[np.bool_] | None = None) -> Consistency:
    """Compare an enhanced volume with the scan it came from; one slice in memory at a time.

    Parameters
    ----------
    enhanced : (z, s·y, s·x)
        The enhanced volume in HU; an array, or lazily read.
    scan : (z, y, x)
        The scan in HU.
    scale
        s.
    mask
        Voxels of the scan that count; None: all.

    Raises
    ------
    ValueError
        If the shapes do not belong together or the mask is empty.
    """
    z, y, x = scan.shape
    if tuple(enhanced.shape) != (z, y * scale, x * scale):
        raise ValueError(f"enhanced {tuple(enhanced.shape)} is not {scale} times the scan {tuple(scan.shape)}")
    found = ConsistencySum(scale)
    for index in range(z):
        inside = None if mask is None else mask[index]
        if inside is None or inside.any():
            found.add(np.asarray(enhanced[index]), np.asarray(scan[index]), inside)
    return found.result()


class Agreement(Accumulator):
    """Difference of the image's block means to the scan, over the mask."""

    def __init__(self, setting: Setting) -> None:
        self._sum = ConsistencySum(setting.scale)

    def add(self, seen: ImageSlice) -> None:
        """Take a slice in HU into account."""
        self._sum.add(seen.plane, seen.reference.scan, seen.reference.coarse_inside)

    def rms(self) -> float:
        """Root mean square in HU."""
        return self._sum.result().rms_hu

    def bias(self) -> float:
        """Mean in HU."""
        return self._sum.result().bias_hu


CONSISTENCY_RMS: Final = Metric(
    key="consistency_rms_hu",
    label="consistency RMS (HU)",
    unit="HU",
    meaning="root mean square of (mean of each s×s block of SR − scan) over the mask; the truth itself does not reach "
    "0, since a scanner blurs more than its voxel and has noise",
    better="less",
    question=AGREEMENT,
    needs=SCAN,
    ideal=0.0,
    accumulator=Agreement,
    read=Agreement.rms,
)
CONSISTENCY_BIAS: Final = Metric(
    key="consistency_bias_hu",
    label="consistency bias (HU)",
    unit="HU",
    meaning="mean of (mean of each s×s block of SR − scan) over the mask",
    better="near 0",
    question=AGREEMENT,
    needs=SCAN,
    ideal=0.0,
    accumulator=Agreement,
    read=Agreement.bias,
)
CONSISTENCY: Final = (CONSISTENCY_RMS, CONSISTENCY_BIAS)
"""Whether the image says what the scan said."""
