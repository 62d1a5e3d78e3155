"""Truth and labels on the slices of the clinical scan, where an in-plane enhancer is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import GeometryError
from ctloupe.volume.geometry import Triple, refined_grid, same_direction, same_spacing
from ctloupe.volume.volume import LazyArray, Volume

SliceMode = Literal["centre", "slab"]


def truth_on_clinical_slices(truth: Volume, clinical: Volume, mode: SliceMode = "centre") -> Volume:
    """The truth where an in-plane enhancer is judged: on the slices of the clinical scan, finer in y and x.

    Parameters
    ----------
    truth
        Volume on the fine grid, or already on the clinical slices.
    clinical
        The scan, or a part of it.
    mode
        ``centre``: the plane through the middle of each clinical slice (the mean of the two nearest fine slices
        when it lies between them); ``slab``: the mean over the slice thickness.

    Returns
    -------
    Volume
        float32, on `geometry.refined_grid` of `clinical`; computed slice by slice when read.

    Raises
    ------
    GeometryError
        If the two grids do not belong together.
    """

    def plane(z: float, step: int) -> NDArray[np.float32]:
        reach = (step - 1) / 2 if mode == "slab" else (0.0 if abs(z - round(z)) < 0.01 else 0.5)
        first, last = max(0, round(z - reach)), min(truth.shape[0] - 1, round(z + reach))
        return np.asarray(truth.data[first : last + 1]).mean(0, dtype=np.float32)

    return _on_slices(truth, clinical, plane, np.float32, f"truth, {mode} of each clinical slice")


def labels_on_clinical_slices(labels: Volume, clinical: Volume) -> Volume:
    """Labels of the fine slice nearest to the middle of each clinical slice; as `truth_on_clinical_slices`."""

    def plane(z: float, step: int) -> NDArray[np.float32]:
        return np.asarray(labels.data[min(labels.shape[0] - 1, int(np.floor(z + 0.5 + 1e-3)))])

    return _on_slices(labels, clinical, plane, labels.data.dtype, "labels at the middle of each clinical slice")


def _on_slices(
    fine: Volume, clinical: Volume, plane: Callable[[float, int], NDArray[Any]], dtype: Any, done: str
) -> Volume:
    scale = max(1, round(clinical.spacing[2] / fine.spacing[2]))
    spacing, origin = refined_grid(clinical.spacing, clinical.origin, clinical.direction, scale)
    step = max(1, round(clinical.spacing[0] / fine.spacing[0]))
    index = np.linalg.solve(fine.affine, np.array([*origin, 1.0]))[:3][::-1]
    shape = (clinical.shape[0], clinical.shape[1] * scale, clinical.shape[2] * scale)
    start = np.rint(index[1:]).astype(int)
    ends = start + np.array(shape[1:])
    fits = (
        same_spacing((fine.spacing[0] * step, *fine.spacing[1:]), spacing)
        and same_direction(fine.direction, clinical.direction)
        and np.abs(index[1:] - start).max() < 0.02
        and start.min() >= 0
        and (ends <= fine.shape[1:]).all()
        and index[0] >= -0.5
        and index[0] + (shape[0] - 1) * step <= fine.shape[0] - 0.5
    )
    if not fits:
        raise GeometryError(
            f"truth or labels {fine.shape} at {_mm(fine.spacing)} mm do not lie over the scan {clinical.shape} at "
            f"{_mm(clinical.spacing)} mm; give the ones that belong to this scan"
        )
    rows, columns = slice(start[0], ends[0]), slice(start[1], ends[1])

    def read(block: tuple[slice, slice, slice]) -> NDArray[Any]:
        planes = [
            plane(index[0] + z * step, step)[rows, columns][block[1], block[2]]
            for z in range(block[0].start, block[0].stop)
        ]
        height, width = (one.stop - one.start for one in block[1:])
        return np.stack(planes) if planes else np.empty((0, height, width), dtype)

    data = LazyArray(shape, dtype, read, "truth")
    return fine.with_data(data, done, spacing=spacing, origin=origin)


def _mm(spacing: Triple) -> str:
    return "×".join(f"{edge:.4g}" for edge in spacing)
