"""The errors of an enhanced volume beside the uncertainty that was predicted for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.metrics.calibration import ErrorSample, SampledErrors
from ctloupe.evaluate.slices import ImageSlice, Reference, Setting
from ctloupe.foundation.errors import GeometryError
from ctloupe.volume.volume import Volume


def sample_errors(
    enhanced: Volume,
    deviation: Volume,
    truth: Volume,
    mask: NDArray[np.bool_] | None,
    scale: int,
    labels: Volume | None = None,
    seed: int = 0,
) -> ErrorSample:
    """Draw at most about two million voxels from the mask, with their error and predicted σ.

    Parameters
    ----------
    enhanced, deviation, truth
        Volumes on one grid, in HU; voxels without σ, as outside the mask of the enhancement, are left out.
    mask : bool, on the coarse grid
        Where to compare; None: everywhere.
    scale
        Fine voxels per coarse voxel in y and x.
    labels
        Label numbers on the same grid; None: all voxels are tissue 0.
    seed
        Seed of the draw.

    Raises
    ------
    GeometryError
        If the grids differ.
    OptionError
        If no voxel has an uncertainty.
    """
    if not enhanced.shape == deviation.shape == truth.shape:
        raise GeometryError(
            f"`uncertainty` has shape {deviation.shape}, the enhanced volume {enhanced.shape}; give the uncertainty "
            "that was written with it"
        )
    if not np.allclose(enhanced.affine, deviation.affine, atol=1e-3):
        raise GeometryError(
            "`uncertainty` lies elsewhere than the enhanced volume (spacing, origin or direction differ); give the "
            "uncertainty that was written with it"
        )
    shape = (truth.shape[0], truth.shape[1] // scale, truth.shape[2] // scale)
    setting = Setting.of(shape, truth, mask, known=frozenset({"truth", "uncertainty"}))
    drawn = SampledErrors(setting, seed)
    for z in setting.shown:
        real = np.asarray(truth.data[z], np.float32)
        marked = None if labels is None else np.asarray(labels.data[z])
        reference = Reference(setting, int(z), real, real, marked)
        sigma = np.asarray(deviation.data[z], np.float32)
        drawn.add(ImageSlice(np.asarray(enhanced.data[z], np.float32), reference, truth.spacing[1], sigma))
    return drawn.sample
