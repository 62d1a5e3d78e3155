"""A volume on a grid of another voxel size, slice by slice."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ctloupe.volume.geometry import Triple
from ctloupe.volume.volume import LazyArray, Volume


def resample_in_plane(volume: Volume, target: tuple[float, float], lazily: bool = False) -> Volume:
    """Bring a volume to the in-plane spacing `target` (y, x) mm over the same physical extent.

    Cubic B-spline interpolation slice by slice; a Gaussian of half the new voxel is applied first along an axis
    that gets coarser. The number of new voxels is rounded and the new grid is centred on the old one, so the
    extent may differ by up to half a new voxel on each side.

    Parameters
    ----------
    volume
        Volume of any orientation.
    target
        Spacing (y, x) in mm.
    lazily
        Whether slices are computed whenever they are read, for what is larger than memory.
    """
    spacing: Triple = (volume.spacing[0], target[0], target[1])
    old = np.array(volume.shape[1:])
    ratio = np.array(volume.spacing[1:]) / np.array(target)
    new = np.maximum(1, np.rint(old * ratio)).astype(int)
    # Index, on the old grid, of the first new centre: both grids share their middle.
    first = (old - 1) / 2 - (new - 1) / 2 / ratio
    origin = volume.physical((0.0, float(first[0]), float(first[1])))
    dtype = volume.data.dtype if np.issubdtype(volume.data.dtype, np.integer) else np.dtype(np.float32)

    def read(block: tuple[slice, slice, slice]) -> NDArray[Any]:
        slices = range(volume.shape[0])[block[0]]
        planes = np.empty((len(slices), *new), dtype)
        for plane, z in zip(planes, slices, strict=True):
            plane[...] = _plane(volume, z, target, new, first, dtype)
        return planes[:, block[1], block[2]]

    shape = (volume.shape[0], int(new[0]), int(new[1]))
    done = f"resampled in-plane from {volume.spacing[1:]} to {target} mm"
    data = LazyArray(shape, dtype, read, "resampled volume") if lazily else read((slice(None),) * 3)
    return volume.with_data(data, done, spacing=spacing, origin=tuple(float(value) for value in origin))


def _plane(
    volume: Volume,
    z: int,
    target: tuple[float, float],
    new: NDArray[np.int64],
    first: NDArray[np.float64],
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """Resample a slice; values between integers are rounded, and what overshoots the type becomes its end."""
    image = sitk.GetImageFromArray(np.asarray(volume.data[z], dtype=np.float32))
    image.SetSpacing((volume.spacing[2], volume.spacing[1]))
    sigma = [0.5 * target[axis] if volume.spacing[1 + axis] < target[axis] else 0.0 for axis in (1, 0)]
    if any(sigma):
        image = sitk.SmoothingRecursiveGaussian(image, [max(one, 1e-6) for one in sigma])
    grid = sitk.Resample(
        image,
        (int(new[1]), int(new[0])),
        sitk.Transform(2, sitk.sitkIdentity),
        sitk.sitkBSpline,
        [float(first[1]) * volume.spacing[2], float(first[0]) * volume.spacing[1]],
        (target[1], target[0]),
        (1.0, 0.0, 0.0, 1.0),
        0.0,
        sitk.sitkFloat32,
        True,
    )
    values: NDArray[Any] = sitk.GetArrayViewFromImage(grid)
    if not np.issubdtype(dtype, np.integer):
        return values.copy()
    limits = np.iinfo(dtype)
    return np.rint(values).clip(limits.min, limits.max).astype(dtype)
