"""The reader, called as napari calls it: through the manifest and npe2."""

import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ctloupe.enhance.request import EnhanceRequest, enhance_files
from ctloupe.foundation.errors import CtLoupeError, GeometryError
from ctloupe.napari_plugin.place import place_of, placed
from ctloupe.napari_plugin.reader import get_reader
from ctloupe.volume.formats import READABLE, write
from ctloupe.volume.geometry import as_direction
from ctloupe.volume.volume import LazyArray, Volume
from dicom_series import write_dicom_series

npe2 = pytest.importorskip("npe2", reason="npe2 is not installed: pip install 'ctloupe[napari]'")

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "src" / "ctloupe" / "napari_plugin"
OBLIQUE = as_direction(Rotation.from_euler("zyx", [0.3, -0.2, 0.1]).as_matrix())


@pytest.fixture(scope="module")
def manifest():
    return npe2.PluginManifest.from_file(FOLDER / "napari.yaml")


@pytest.fixture(scope="module")
def opened(manifest):
    """A function that opens a path as `viewer.open` does, and returns the layers' data."""
    manager = npe2.PluginManager()
    manager.register(manifest)
    manager.activate(manifest.name)

    def open_path(path):
        [reader] = manager.iter_compatible_readers([str(path)])
        function = reader.exec(kwargs={"path": [str(path)], "stack": False}, _registry=manager.commands)
        return None if function is None else function([str(path)], stack=False)

    return open_path


def volume(direction=OBLIQUE, units="HU"):
    values = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    return Volume(values, (2.5, 0.7, 0.6), (-10.0, 20.0, 30.0), direction, "clinical", units)


def world(keywords):
    """What napari documents: scale, then translate, then the affine."""

    def of(index):
        point = np.multiply(index, keywords["scale"]) + keywords.get("translate", 0)
        return (keywords.get("affine", np.eye(4)) @ [*point, 1.0])[:3]

    return of


def test_the_manifest_names_what_is_there_and_is_found_by_the_entry_point(manifest):
    for command in manifest.contributions.commands:
        module, name = command.python_name.split(":")
        # Not imported: the panel needs a program with windows.
        source = (FOLDER / f"{module.rpartition('.')[2]}.py").read_text(encoding="utf-8")
        assert f"def {name}(" in source or f"class {name}(" in source
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, file = project["entry-points"]["napari.manifest"]["ctloupe"].split(":")
    assert (Path(import_module(module).__file__).parent / file).samefile(FOLDER / "napari.yaml")
    assert manifest.name == project["name"]


def test_the_manifest_names_every_suffix_that_can_be_read(manifest):
    [reader] = manifest.contributions.readers
    assert reader.filename_patterns == [f"*{suffix}" for suffix in READABLE]


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".ome.zarr"])
def test_a_layer_puts_voxels_where_simpleitk_does(opened, tmp_path, suffix):
    path = tmp_path / f"scan{suffix}"
    write(volume(), path)
    # The store is compared with the NRRD: SimpleITK does not read it.
    write(volume(), tmp_path / "same.nrrd")
    image = sitk.ReadImage(str(path if suffix != ".ome.zarr" else tmp_path / "same.nrrd"))
    [(data, keywords, kind)] = opened(path)
    assert (kind, keywords["name"]) == ("image", "scan")
    assert np.array_equal(data, volume().data)
    for index in ((0, 0, 0), (1, 2, 3), (0.5, 1.5, -2.0)):
        expected = image.TransformContinuousIndexToPhysicalPoint(index[::-1])
        assert world(keywords)(index) == pytest.approx(expected[::-1], abs=1e-4)


def test_an_upright_volume_is_scaled_and_translated_alone(opened, tmp_path):
    write(volume(direction=((1, 0, 0), (0, 1, 0), (0, 0, 1))), tmp_path / "scan.mha")
    [(_, keywords, _)] = opened(tmp_path / "scan.mha")
    assert keywords["scale"] == pytest.approx((2.5, 0.7, 0.6))
    assert keywords["translate"] == pytest.approx((30.0, 20.0, -10.0))
    assert "affine" not in keywords


def test_a_folder_of_dicom_is_a_layer_that_tells_nothing_of_the_patient(opened, tmp_path):
    def name(index, dataset):
        dataset.PatientName, dataset.PatientID, dataset.InstitutionName = "Secret^Name", "4711-id", "Some Clinic"

    series = write_dicom_series(tmp_path / "study", edit=name)
    [(data, keywords, _)] = opened(series.folder)
    assert np.array_equal(np.asarray(data), series.values)
    assert keywords["name"] == "study"
    assert not [word for word in ("Secret", "4711", "Clinic") if word in repr(keywords)]


def test_the_levels_of_a_store_are_a_pyramid_read_chunk_by_chunk(opened, tmp_path):
    values = np.random.default_rng(0).normal(-800, 100, (3, 40, 40)).astype(np.int16)
    write(Volume(values, (2.0, 0.8, 0.8), units="HU"), tmp_path / "scan.nii.gz")
    out = tmp_path / "fine.ome.zarr"
    enhance_files(
        EnhanceRequest(tmp_path / "scan.nii.gz", out, "bicubic", scale=4, mask="none", preview=False, accelerator="cpu")
    )
    damaged = next(path for path in sorted((out / "0" / "c" / "2").rglob("*")) if path.is_file())
    damaged.write_bytes(b"nothing like it" * 10)
    [(levels, keywords, _)] = opened(out)
    assert keywords["multiscale"] is True
    assert [one.shape for one in levels][:2] == [(3, 160, 160), (3, 80, 80)]
    assert all(isinstance(one, LazyArray) and one.size == np.prod(one.shape) for one in levels)
    assert levels[0][0, :, :].shape == (160, 160)
    with pytest.raises(CtLoupeError, match="damaged"):
        levels[0][2, :, :]


def test_what_is_no_volume_is_left_to_others_and_what_is_damaged_is_said(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.nii.gz").write_bytes(b"nothing")
    assert get_reader(str(tmp_path / "notes.txt")) is None
    assert get_reader(str(tmp_path / "empty")) is None
    assert get_reader([str(tmp_path / "broken.nii.gz")] * 2) is None
    with pytest.raises(CtLoupeError, match=r"broken\.nii\.gz"):
        get_reader(str(tmp_path / "broken.nii.gz"))(str(tmp_path / "broken.nii.gz"))


ANGLES = st.floats(-3, 3)
SIZES = st.floats(0.01, 10)
PLACES = st.floats(-500, 500)


@settings(max_examples=40, deadline=None)
@given(st.tuples(ANGLES, ANGLES, ANGLES), st.tuples(SIZES, SIZES, SIZES), st.tuples(PLACES, PLACES, PLACES))
def test_the_place_of_a_layer_is_that_of_its_volume(angles, spacing, origin):
    direction = as_direction(Rotation.from_euler("zyx", angles).as_matrix())
    made = Volume(np.zeros((1, 1, 1), np.int16), spacing, origin, direction)
    found = place_of(world(placed(made)))
    assert found[0] == pytest.approx(spacing, rel=1e-6)
    assert found[1] == pytest.approx(origin, abs=1e-6)
    assert np.allclose(found[2], direction, atol=1e-6)


def test_a_sheared_layer_is_no_volume():
    sheared = {"scale": (1, 1, 1), "affine": np.array([[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])}
    with pytest.raises(GeometryError, match="layer"):
        place_of(world(sheared))
