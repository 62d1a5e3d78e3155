"""Writing through the one door: names, types, and what is in the way."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from ctloupe.foundation.errors import FileError, IntensityError, OptionError
from ctloupe.volume.formats import WRITABLE, read, require_writable, write
from ctloupe.volume.geometry import as_direction
from ctloupe.volume.volume import Volume

OBLIQUE = as_direction(Rotation.from_euler("zyx", [20, -35, 50], degrees=True).as_matrix())
VALUES = np.random.default_rng(2).integers(-1000, 3000, (5, 6, 7)).astype(np.int16)
UPRIGHT = Volume(VALUES, (2.5, 0.7, 0.6), (10.0, -20.0, 30.0), units="HU")


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".mhd", ".nrrd"])
def test_all_formats_with_a_direction_agree_with_simpleitk(tmp_path, suffix):
    volume = Volume(VALUES, (2.5, 0.7, 0.6), (10.0, -20.0, 30.0), OBLIQUE)
    image = sitk.ReadImage(str(write(volume, tmp_path / f"a{suffix}")))
    for index in ((0, 0, 0), (4, 5, 6), (1, 3, 2)):
        point = image.TransformIndexToPhysicalPoint(index[::-1])
        np.testing.assert_allclose(point, volume.physical(index), atol=1e-4)


@pytest.mark.parametrize("name", ["a.png", "a", "a.dcm", "a.nhdr", "a.gz"])
def test_an_unknown_output_suffix_lists_the_known_ones(tmp_path, name):
    with pytest.raises(OptionError) as caught:
        write(UPRIGHT, tmp_path / name)
    assert all(suffix in str(caught.value) for suffix in WRITABLE)


def test_what_cannot_be_written_is_known_before_the_work(tmp_path):
    (tmp_path / "a.nii").touch()
    with pytest.raises(FileError, match=r"a\.nii: exists already"):
        require_writable(tmp_path / "a.nii")
    assert require_writable(tmp_path / "a.nii", overwrite=True).name == "nifti"
    with pytest.raises(OptionError, match="unknown output format"):
        require_writable(tmp_path / "a.txt")


def test_a_raw_file_of_somebody_else_is_not_replaced(tmp_path):
    (tmp_path / "a.raw").write_text("theirs")
    with pytest.raises(FileError, match=r"a\.raw: exists already"):
        write(UPRIGHT, tmp_path / "a.mhd")
    assert (tmp_path / "a.raw").read_text() == "theirs"
    assert names(tmp_path) == ["a.raw"]


@pytest.mark.parametrize("suffix", [".nii", ".mha", ".nrrd", ".tif", ".ome.zarr"])
@pytest.mark.parametrize(
    ("dtype", "stored"),
    [
        ("bool", "uint8"),
        ("float16", "float32"),
        ("float64", "float32"),
        ("int64", "int32"),
        ("uint64", "int32"),
        (">i2", "int16"),
    ],
)
def test_types_without_a_common_home_are_converted(tmp_path, suffix, dtype, stored):
    values = (VALUES > 0).astype(dtype) if dtype == "bool" else np.abs(VALUES).astype(dtype)
    again = read(write(UPRIGHT.with_data(values), tmp_path / f"a{suffix}"))
    assert again.data.dtype == stored
    np.testing.assert_array_equal(again.array(), values)


def test_values_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(IntensityError, match=r"a\.nii: int64 values from 0 to 2147483648 do not fit int32"):
        write(UPRIGHT.with_data(np.array([[[0, 2**31]]])), tmp_path / "a.nii")
    with pytest.raises(IntensityError, match=r"a\.nii: 1 voxels are NaN or infinite"):
        write(UPRIGHT.with_data(np.array([[[0, 1e300]]])), tmp_path / "a.nii")
    with pytest.raises(IntensityError, match=r"a\.nii: complex64 voxels"):
        write(UPRIGHT.with_data(np.zeros((1, 1, 2), np.complex64)), tmp_path / "a.nii")
    assert names(tmp_path) == []


def test_a_file_does_not_replace_a_folder(tmp_path):
    (tmp_path / "a.nii").mkdir()
    with pytest.raises(FileError, match=r"a\.nii: is a folder"):
        write(UPRIGHT, tmp_path / "a.nii", overwrite=True)
