"""A mask file is taken on the grid of its scan only, and a refusal says what differs."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from ctloupe.foundation.errors import GeometryError, IntensityError
from ctloupe.volume.formats import write
from ctloupe.volume.geometry import as_direction
from ctloupe.volume.masks import read_mask
from ctloupe.volume.volume import Volume

SHAPE = (4, 5, 6)
TILTED = as_direction(Rotation.from_euler("zyx", [20, -35, 50], degrees=True).as_matrix())
TURNED = as_direction(Rotation.from_euler("zyx", [4, -3, 6], degrees=True).as_matrix())
PLACE = {"spacing": (2.5, 0.7, 0.6), "origin": (-150.0, 200.0, -1300.0), "direction": TILTED}
INSIDE = np.random.default_rng(0).random(SHAPE) > 0.5


def scan():
    return Volume(np.zeros(SHAPE, np.int16), **PLACE)


def as_image(inside):
    """The same as an image of another library."""
    image = sitk.GetImageFromArray(inside.astype(np.uint8))
    image.SetSpacing(PLACE["spacing"][::-1])
    image.SetOrigin(PLACE["origin"])
    image.SetDirection(np.ravel(TURNED).tolist())
    return image


def mask_file(path, inside=INSIDE, **changes):
    return write(Volume(inside, **(PLACE | changes)), path)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".nrrd", ".ome.zarr"])
def test_a_mask_on_the_grid_is_read_from_every_format_that_rounds_differently(tmp_path, suffix):
    found = read_mask(mask_file(tmp_path / f"mask{suffix}"), scan(), "mask")
    assert found.dtype == bool
    np.testing.assert_array_equal(found, INSIDE)


def test_every_value_but_zero_is_inside(tmp_path):
    labels = write(Volume(np.where(INSIDE, -3, 0).astype(np.int16), **PLACE), tmp_path / "labels.mha")
    np.testing.assert_array_equal(read_mask(labels, scan(), "mask"), INSIDE)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"inside": INSIDE[:-1]}, "3×5×6 voxels where the scan has 4×5×6"),
        (
            {"spacing": (2.5, 0.7, 9.0)},
            r"voxel spacing 2\.5×0\.7×9 mm \(z, y, x\) where the scan has 2\.5×0\.7×0\.6 mm",
        ),
        ({"origin": (-150.0, 203.0, -1304.0)}, "the first voxel 5 mm away"),
        ({"direction": np.array(TILTED) @ Rotation.from_euler("z", 5, degrees=True).as_matrix()}, "axes turned by 5°"),
    ],
)
def test_what_differs_is_named_with_its_size(tmp_path, changes, told):
    with pytest.raises(GeometryError, match=told) as caught:
        read_mask(mask_file(tmp_path / "mask.nii.gz", **changes), scan(), "clinical_mask")
    message = str(caught.value)
    assert message.startswith(f"`clinical_mask` {tmp_path / 'mask.nii.gz'}: is not on the grid of the scan: ")
    assert message.count(";") == 1 and "\n" not in message
    assert caught.value.option == "clinical_mask"


def test_all_that_differs_is_named_at_once(tmp_path):
    path = mask_file(tmp_path / "mask.mha", spacing=(9.0, 9.0, 9.0), origin=(350.0, 200.0, -1300.0))
    with pytest.raises(GeometryError, match=r"9×9×9 mm .*; the first voxel 500 mm away"):
        read_mask(path, scan(), "mask")


def test_a_mask_that_is_a_fraction_of_a_voxel_off_is_refused(tmp_path):
    path = mask_file(tmp_path / "mask.mha", origin=(-150.0, 200.0, -1300.1))
    with pytest.raises(GeometryError, match=r"first voxel 0\.1 mm away"):
        read_mask(path, scan(), "mask")


@pytest.mark.parametrize("order", ["RAS", "LPS", "RPI", "ASL", "SAR", "IPR"])
def test_a_mask_that_another_program_stored_in_its_own_order_is_turned(tmp_path, order):
    stored = sitk.DICOMOrient(as_image(INSIDE), order)
    sitk.WriteImage(stored, str(tmp_path / "mask.nii.gz"))
    upright = Volume(np.zeros(SHAPE, np.int16), **(PLACE | {"direction": TURNED}))
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.nii.gz", upright, "mask"), INSIDE)


def test_a_turned_mask_whose_grid_differs_all_the_same_says_how_it_was_compared(tmp_path):
    stored = sitk.DICOMOrient(as_image(INSIDE[:-1]), "RAS")
    sitk.WriteImage(stored, str(tmp_path / "mask.nii.gz"))
    upright = Volume(np.zeros(SHAPE, np.int16), **(PLACE | {"direction": TURNED}))
    with pytest.raises(GeometryError, match=r"stored as RAS~, compared as LPS~\): 3×5×6 voxels where"):
        read_mask(tmp_path / "mask.nii.gz", upright, "mask")


def test_a_mask_with_values_that_are_not_finite_is_refused(tmp_path):
    path = write(Volume(np.ones(SHAPE, np.float32), **PLACE), tmp_path / "mask.nii")
    content = bytearray(path.read_bytes())
    content[-4:] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    with pytest.raises(IntensityError, match="NaN"):
        read_mask(path, scan(), "mask")
