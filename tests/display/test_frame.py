"""Where voxels of any volume lie in the frame of another, against SimpleITK."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ctloupe.display.frame import Frame, place
from ctloupe.volume.volume import LazyArray, Volume

# Angles of 1e-300 degrees make SimpleITK find no voxel at the place of one.
rotations = st.tuples(*(st.floats(-180, 180).map(lambda angle: round(angle, 6)) for _ in range(3)))
SHAPE = (3, 5, 4)


def turned(angles, shape=SHAPE, spacing=(2.0, 0.7, 0.9)):
    values = np.random.default_rng(0).integers(-1000, 1000, shape).astype(np.int16)
    direction = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    return Volume(values, spacing, (11.0, -20.0, 5.5), direction.tolist())


def as_itk(volume):
    image = sitk.GetImageFromArray(volume.array())
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.origin)
    image.SetDirection(np.asarray(volume.direction).ravel().tolist())
    return image


@given(rotations)
@settings(max_examples=25, deadline=None)
def test_a_voxel_of_the_frame_is_the_one_that_simpleitk_finds_at_its_place(angles):
    volume = turned(angles)
    frame = Frame.of(volume)
    placed = place(volume, frame)
    assert placed.own_axes and sorted(placed.shape) == sorted(SHAPE)
    image = as_itk(volume)
    values = placed.read(tuple(slice(0, length) for length in placed.shape))
    for z, y, x in np.ndindex(placed.shape):
        at = np.array(placed.first) + np.array([x, y, z]) * placed.spacing[::-1]
        index = image.TransformPhysicalPointToIndex((frame.axes @ at).tolist())
        assert values[z, y, x] == image.GetPixel(*index)


@given(rotations)
@settings(max_examples=25, deadline=None)
def test_the_axes_are_nearest_to_left_back_and_head_and_stay_right_handed_or_not_as_they_are(angles):
    frame = Frame.of(turned(angles))
    assert np.all(np.diag(frame.axes) > 0)
    assert np.allclose(frame.axes.T @ frame.axes, np.eye(3), atol=1e-6)


@pytest.mark.parametrize("angles", [(0, 0, 12), (20, -9, 140)])
def test_a_volume_of_other_axes_is_interpolated_as_simpleitk_does(angles):
    volume = turned(angles, (6, 9, 8))
    frame = Frame.of(turned((0, 0, 0)))
    placed = place(volume, frame)
    assert not placed.own_axes
    values = placed.read(tuple(slice(0, length) for length in placed.shape))
    grid = sitk.Image([int(one) for one in placed.shape[::-1]], sitk.sitkFloat32)
    grid.SetSpacing(placed.spacing[::-1])
    grid.SetOrigin((frame.axes @ np.array(placed.first)).tolist())
    grid.SetDirection(frame.axes.ravel().tolist())
    image = sitk.Cast(as_itk(volume), sitk.sitkFloat32)
    expected = sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, -9999.0))
    inside = expected > -9000
    assert inside.sum() > 100 and not np.isnan(values[inside]).any()
    assert np.abs(values[inside] - expected[inside]).max() < 0.05
    assert np.isnan(values).any(), "what lies outside of the volume has no value"


def test_only_the_block_that_is_asked_for_is_read_also_when_the_file_counts_backwards():
    asked = []
    values = np.arange(3 * 4 * 5).reshape(3, 4, 5).astype(np.int16)

    def read(block):
        asked.append(block)
        return values[block]

    backwards = ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))
    volume = Volume(LazyArray((3, 4, 5), np.int16, read, "v"), (1.0, 1.0, 1.0), direction=backwards)
    placed = place(volume, Frame.of(volume))
    found = placed.read((slice(1, 2), slice(0, 1), slice(0, 2)))
    assert asked == [(slice(1, 2), slice(3, 4), slice(3, 5))]
    assert found.tolist() == [[[values[1, 3, 4], values[1, 3, 3]]]]
    assert placed.stored(1, 0) == 3 and placed.stored(0, 1) == 1
    assert placed.slices_along == placed.normal == 0
