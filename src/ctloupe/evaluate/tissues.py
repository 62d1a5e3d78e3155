"""Errors by tissue, where labels say what each voxel is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ctloupe.evaluate.alignment import require_fine_grid
from ctloupe.volume.volume import Volume


@dataclass(frozen=True)
class TissueError:
    """Number of the voxels of one label, mean of their truth, and mean and mean absolute error of each row, in HU."""

    voxels: int
    truth_hu: float
    bias_hu: dict[str, float]
    mae_hu: dict[str, float]


def tissue_errors(
    volumes: Mapping[str, Volume], truth: Volume, labels: Volume, names: Mapping[int, str]
) -> dict[str, TissueError]:
    """Compare volumes with the truth label by label, one slice in memory at a time.

    Parameters
    ----------
    volumes
        Images by row name, on the grid of `truth`.
    truth, labels
        HU and label numbers.
    names
        Label number to tissue; labels without a name are left out, tissues without a voxel too.

    Raises
    ------
    GeometryError
        If the labels are not on the grid of the truth.
    """
    require_fine_grid(truth, labels, 1, "`labels`")
    size = max(names) + 1
    count, total = np.zeros(size), np.zeros(size)
    bias = {name: np.zeros(size) for name in volumes}
    absolute = {name: np.zeros(size) for name in volumes}
    for z in range(truth.shape[0]):
        found = np.asarray(labels.data[z]).astype(np.int64).ravel()
        known = np.isin(found, list(names))
        found = found[known]
        real = np.asarray(truth.data[z], dtype=np.float32).ravel()[known]
        count += np.bincount(found, minlength=size)
        total += np.bincount(found, real, size)
        for name, volume in volumes.items():
            off = np.asarray(volume.data[z], dtype=np.float32).ravel()[known] - real
            bias[name] += np.bincount(found, off, size)
            absolute[name] += np.bincount(found, np.abs(off), size)
    return {
        tissue: TissueError(
            int(count[number]),
            float(total[number] / count[number]),
            {name: float(bias[name][number] / count[number]) for name in volumes},
            {name: float(absolute[name][number] / count[number]) for name in volumes},
        )
        for number, tissue in names.items()
        if count[number]
    }
