"""Does a model's trained voxel spacing fit a scan, and if not, how to make it fit."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ctloupe.foundation.errors import ModelError
from ctloupe.volume.geometry import SPACING_TOLERANCE, Triple, relative_difference
from ctloupe.volume.volume import Volume


def require_spacing(volume: Volume, trained: tuple[float, float], model: str) -> None:
    """Raise `ModelError` when the scan's in-plane spacing differs by more than 10% from the trained one.

    Parameters
    ----------
    volume
        The scan.
    trained
        Spacing (y, x) in mm that the model was trained at.
    model
        Name of the model, for the message.
    """
    found = volume.spacing[1:]
    if relative_difference(found, trained) > SPACING_TOLERANCE:
        raise ModelError(
            f"model {model} was trained at {trained[0]:.4g}×{trained[1]:.4g} mm in-plane, the scan has "
            f"{found[0]:.4g}×{found[1]:.4g} mm: give `resample` to bring the scan to the trained spacing, or "
            "`accept_spacing` to go on as it is"
        )


def resample_in_plane(volume: Volume, target: tuple[float, float]) -> Volume:
    """Bring a volume to the in-plane spacing `target` (y, x) mm over the same physical extent.

    Cubic B-spline interpolation slice by slice; a Gaussian of half the new voxel is applied first along an axis
    that gets coarser. The number of new voxels is rounded and the new grid is centred on the old one, so the
    extent may differ by up to half a new voxel on each side.
    """
    spacing: Triple = (volume.spacing[0], target[0], target[1])
    old = np.array(volume.shape[1:])
    ratio = np.array(volume.spacing[1:]) / np.array(target)
    new = np.maximum(1, np.rint(old * ratio)).astype(int)
    # Index, on the old grid, of the first new centre: both grids share their middle.
    first = (old - 1) / 2 - (new - 1) / 2 / ratio
    origin = volume.physical((0.0, float(first[0]), float(first[1])))
    data = np.empty((volume.shape[0], *new), dtype=np.float32)
    sigma = [0.5 * target[axis] if ratio[axis] < 1 else 0.0 for axis in (1, 0)]
    for z in range(volume.shape[0]):
        image = sitk.GetImageFromArray(np.asarray(volume.data[z], dtype=np.float32))
        image.SetSpacing((volume.spacing[2], volume.spacing[1]))
        if any(sigma):
            image = sitk.SmoothingRecursiveGaussian(image, [max(one, 1e-6) for one in sigma])
        start = [float(first[1]) * volume.spacing[2], float(first[0]) * volume.spacing[1]]
        grid = sitk.Resample(
            image,
            (int(new[1]), int(new[0])),
            sitk.Transform(2, sitk.sitkIdentity),
            sitk.sitkBSpline,
            start,
            (target[1], target[0]),
            (1.0, 0.0, 0.0, 1.0),
            0.0,
            sitk.sitkFloat32,
            True,
        )
        data[z] = sitk.GetArrayViewFromImage(grid)
    done = f"resampled in-plane from {volume.spacing[1:]} to {target} mm"
    if np.issubdtype(volume.data.dtype, np.integer):
        limits = np.iinfo(volume.data.dtype)
        data = np.rint(data).clip(limits.min, limits.max).astype(volume.data.dtype)
    return volume.with_data(data, done, spacing=spacing, origin=tuple(float(value) for value in origin))
