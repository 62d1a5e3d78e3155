"""Maps beside an enhanced volume may be DICOM Parametric Maps, and what could not be written is refused at once."""

import numpy as np
import pytest

from ctloupe.enhance.request import EnhanceRequest, enhance_files
from ctloupe.foundation.errors import CtLoupeError
from ctloupe.volume.formats import read
from dicom_series import write_dicom_series
from small_package import write_small_package


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    write_dicom_series(folder / "series", shape=(2, 16, 20), spacing=(2.5, 0.6, 0.6), bits=10)
    write_small_package(folder / "flow", "physics-flow")
    return folder


def enhanced(folder, out, **options):
    said = []
    enhance_files(
        EnhanceRequest(folder / "series", folder / out, folder / "flow", preview=False, precision="float32", **options),
        said.append,
    )
    return said


def test_the_map_is_the_one_that_other_formats_hold(folder):
    highdicom = pytest.importorskip("highdicom")
    said = enhanced(folder, "mean.dicom", uncertainty=folder / "sigma.parametric-map.dicom")
    enhanced(folder, "mean.nii.gz", uncertainty=folder / "sigma.nii.gz")
    expected = read(folder / "sigma.nii.gz")
    found = highdicom.imread(folder / "sigma.parametric-map.dicom" / "map-1.dcm").get_volume()
    place = np.linalg.inv(expected.affine) @ found.affine @ np.array([1, 5, 7, 1.0])
    z, y, x = np.rint(place[:3][::-1]).astype(int)
    assert found.array[1, 5, 7] == pytest.approx(expected.array()[z, y, x], rel=1e-5)
    assert any("sigma.parametric-map.dicom" in line for line in said)
    assert not [line for line in said if "Secret" in line]


def test_samples_beside_a_dicom_series_have_their_deviation_in_a_parametric_map(folder):
    pytest.importorskip("highdicom")
    enhanced(folder, "drawn.dicom", samples=2, steps=1)
    assert (folder / "drawn-uncertainty.parametric-map.dicom" / "map-1.dcm").is_file()


@pytest.mark.parametrize(
    ("out", "uncertainty", "words"),
    [
        ("a.dicom", "b.dicom", "name it b.parametric-map.dicom"),
        ("a.ome.zarr", "b.parametric-map.dicom", r"written together with .*a.ome.zarr; name it \*.ome.zarr"),
        ("a.parametric-map.dicom", "b.nii.gz", "holds no enhanced volume"),
        ("a.nii.gz", "b.ome.zarr", r"name it other than \*.ome.zarr"),
    ],
)
def test_names_that_do_not_go_together_are_refused_before_the_work(folder, out, uncertainty, words):
    with pytest.raises(CtLoupeError, match=words):
        enhanced(folder, out, uncertainty=folder / uncertainty)
    assert not (folder / out).exists()
