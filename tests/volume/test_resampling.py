"""Volumes on a grid of another voxel size, against SimpleITK and in the same place."""

import numpy as np
import SimpleITK as sitk
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ctloupe.volume.resampling import resample_in_plane
from ctloupe.volume.volume import Volume


@settings(max_examples=15, deadline=None)
@example(angles=(0.0, -0.5, 0.0), target=(0.40625, 0.4), shape=(1, 14, 14))
@given(
    angles=st.tuples(*[st.floats(-1, 1)] * 3),
    target=st.tuples(st.floats(0.4, 1.2), st.floats(0.4, 1.2)),
    shape=st.tuples(st.integers(1, 2), st.integers(14, 19), st.integers(14, 19)),
)
def test_a_ramp_in_space_is_the_same_ramp_after_resampling(angles, target, shape):
    direction = Rotation.from_euler("xyz", angles).as_matrix()
    empty = Volume(np.zeros(shape, np.float32), (3.0, 0.7, 0.9), (4.0, -7.0, 11.0), direction)
    slope = np.array([3.0, -2.0, 1.5])

    def ramp(volume):
        z, y, x = np.indices(volume.shape)
        points = np.stack([x, y, z, np.ones_like(x)]).reshape(4, -1)
        return (slope @ (volume.affine @ points)[:3]).reshape(volume.shape).astype(np.float32)

    moved = resample_in_plane(empty.with_data(ramp(empty)), target)
    assert moved.spacing == (3.0, *target)
    expected = ramp(moved)
    # The spline knows nothing beyond the border; four voxels of the scan inside, a ramp no longer shows it.
    margins = [max(5, int(np.ceil(4 * old / new))) for old, new in zip((0.7, 0.9), target, strict=True)]
    inside = (slice(None), *(slice(margin, -margin) for margin in margins))
    assert np.allclose(moved.data[inside], expected[inside], atol=0.05)


def test_the_middle_of_the_volume_stays_where_it_is():
    volume = Volume(np.zeros((1, 15, 20), np.int16), (1.0, 0.8, 0.8), (1.0, 2.0, 3.0))
    moved = resample_in_plane(volume, (0.5, 0.625))
    centre = [one.physical(tuple((n - 1) / 2 for n in one.shape)) for one in (volume, moved)]
    assert np.allclose(*centre)
    assert moved.data.dtype == np.int16


def test_agrees_with_simpleitk_on_a_smooth_image():
    y, x = np.mgrid[:32, :32]
    blob = (1000 * np.exp(-((y - 14) ** 2 + (x - 17) ** 2) / 60)).astype(np.float32)[None]
    volume = Volume(blob, (2.0, 0.8, 0.8), (5.0, 6.0, 7.0))
    moved = resample_in_plane(volume, (0.6, 0.6))
    image = sitk.GetImageFromArray(blob)
    image.SetSpacing((0.8, 0.8, 2.0))
    image.SetOrigin((5.0, 6.0, 7.0))
    grid = sitk.GetImageFromArray(moved.data)
    grid.SetSpacing((0.6, 0.6, 2.0))
    grid.SetOrigin(moved.origin)
    oracle = sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkBSpline))
    assert np.abs(moved.data - oracle)[:, 3:-3, 3:-3].max() < 2


def test_what_is_computed_when_it_is_read_is_the_same():
    values = np.random.default_rng(0).integers(-1000, 3000, (4, 21, 26)).astype(np.int16)
    volume = Volume(values, (1.0, 0.8, 0.8), (1.0, 2.0, 3.0))
    whole, lazy = (resample_in_plane(volume, (1.1, 0.5), lazily=lazily) for lazily in (False, True))
    assert lazy.shape == whole.shape and lazy.origin == whole.origin and lazy.spacing == whole.spacing
    np.testing.assert_array_equal(lazy.data[1:3, 4:9, 5:], whole.data[1:3, 4:9, 5:])
    np.testing.assert_array_equal(lazy.array(), whole.array())
