"""Places in space, against SimpleITK and against what the grids mean."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from ctloupe.foundation.errors import GeometryError
from ctloupe.volume import geometry

SPACING = (2.5, 0.7, 0.6)
ORIGIN = (-150.0, 200.0, -1300.0)
DIRECTION = geometry.as_direction(Rotation.from_euler("zyx", [20, -35, 50], degrees=True).as_matrix())
HALF = np.array([[0.5], [0.5], [0.0], [0.0]])
EDGE = np.array([[-0.5, -0.5, 0.0, 1.0], [31.5, 15.5, 0.0, 1.0]]).T


def test_the_affine_is_itks():
    image = sitk.Image(4, 5, 6, sitk.sitkInt16)
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin(ORIGIN)
    image.SetDirection(np.ravel(DIRECTION).tolist())
    affine = geometry.affine_lps(SPACING, ORIGIN, DIRECTION)
    for index in ([0.0, 0.0, 0.0], [1.5, 2.0, 3.25]):
        np.testing.assert_allclose(affine @ [*index, 1], [*image.TransformContinuousIndexToPhysicalPoint(index), 1])


@pytest.mark.parametrize("convention", ["lps", "ras"])
def test_spacing_origin_and_direction_come_back_from_the_affine(convention):
    affine = getattr(geometry, f"affine_{convention}")(SPACING, ORIGIN, DIRECTION)
    found = getattr(geometry, f"from_affine_{convention}")(affine)
    for one, truth in zip(found, (SPACING, ORIGIN, DIRECTION), strict=True):
        np.testing.assert_allclose(one, truth, atol=1e-12)


def test_ras_turns_two_axes_of_lps():
    lps, ras = (make(SPACING, ORIGIN, DIRECTION) for make in (geometry.affine_lps, geometry.affine_ras))
    np.testing.assert_array_equal(ras, np.diag([-1, -1, 1, 1]) @ lps)


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_a_finer_grid_covers_the_same_extent_and_the_coarser_one_undoes_it(scale):
    spacing, origin = geometry.refined_grid(SPACING, ORIGIN, DIRECTION, scale)
    assert spacing == pytest.approx((2.5, 0.7 / scale, 0.6 / scale))
    # The corners of the first and of the last pixel, in indices of each grid.
    fine = (EDGE + HALF) * [[scale], [scale], [1], [1]] - HALF
    np.testing.assert_allclose(
        geometry.affine_lps(spacing, origin, DIRECTION) @ fine, geometry.affine_lps(SPACING, ORIGIN, DIRECTION) @ EDGE
    )
    back = geometry.coarsened_grid(spacing, origin, DIRECTION, scale)
    np.testing.assert_allclose(np.ravel(back), np.ravel((SPACING, ORIGIN)))


def test_the_origin_of_a_part_is_the_place_of_its_first_voxel():
    affine = geometry.affine_lps(SPACING, ORIGIN, DIRECTION)
    np.testing.assert_allclose(
        geometry.cropped_origin(SPACING, ORIGIN, DIRECTION, (3, 2, 1)), (affine @ [1, 2, 3, 1])[:3]
    )


@pytest.mark.parametrize("code", ["LPS", "RAS", "RPI", "PSL", "ASL"])
def test_orientations_are_named_as_simpleitk_names_them(code):
    cosines = sitk.DICOMOrientImageFilter.GetDirectionCosinesFromOrientation(code)
    assert geometry.orientation_code(geometry.as_direction(np.reshape(cosines, (3, 3)))) == code


def test_an_oblique_orientation_is_marked():
    assert geometry.orientation_code(DIRECTION).endswith("~")


@pytest.mark.parametrize(
    ("matrix", "told"),
    [
        (np.eye(2), "3×3"),
        (np.full((3, 3), np.nan), "finite"),
        (np.diag([1, 1, 1.01]), "not orthonormal"),
        (np.eye(3) + 0.1 * np.eye(3, k=1), "sheared"),
    ],
)
def test_what_is_no_direction_is_refused(matrix, told):
    with pytest.raises(GeometryError, match=told):
        geometry.as_direction(matrix)


def test_an_affine_without_a_size_is_refused():
    with pytest.raises(GeometryError, match="voxel size cannot be known"):
        geometry.from_affine_lps(np.diag([1.0, 0.0, 1.0, 1.0]))


def test_the_difference_of_spacings_is_the_largest_along_any_axis_and_in_either_direction():
    assert geometry.relative_difference((0.6, 0.6), (0.6, 0.6)) == 0
    assert geometry.relative_difference((0.66, 0.6), (0.6, 0.6)) == pytest.approx(0.1)
    assert geometry.relative_difference((0.6, 0.3), (0.6, 0.6)) == pytest.approx(0.5)


def test_spacings_that_are_compared_have_the_same_axes():
    with pytest.raises(ValueError, match="shorter"):
        geometry.relative_difference((1.0, 1.0, 1.0), (1.0, 1.0))


def test_one_grid_asks_for_the_same_voxels_and_axes():
    assert geometry.same_spacing((2.5, 0.6, 0.6), (2.5, 0.6005, 0.6))
    assert not geometry.same_spacing((2.5, 0.6, 0.6), (2.5, 0.6012, 0.6))
    turned = geometry.as_direction(Rotation.from_euler("z", 5e-4).as_matrix())
    assert not geometry.same_direction(turned, geometry.IDENTITY)
    assert geometry.same_direction(turned, geometry.IDENTITY, 1e-3)
