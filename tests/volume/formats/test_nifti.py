"""NIfTI files: geometry against SimpleITK, faults by name, slabs on demand."""

from __future__ import annotations

import gzip
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ctloupe.foundation.errors import FileError, GeometryError, IntensityError
from ctloupe.volume.formats.nifti.reader import read_nifti
from ctloupe.volume.formats.nifti.writer import write_nifti
from ctloupe.volume.volume import LazyArray, Volume

OBLIQUE = Rotation.from_euler("zyx", [20, -35, 50], degrees=True).as_matrix()


@st.composite
def volumes(draw: st.DrawFn) -> Volume:
    shape = draw(st.tuples(*[st.integers(1, 9)] * 3))
    dtype = draw(st.sampled_from(["int16", "float32", "uint8", "uint16"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.normal(100, 50, shape).clip(0, 255) if dtype == "uint8" else rng.uniform(0, 3000, shape)
    sizes = st.floats(0.01, 8)
    places = st.floats(-500, 500)
    angles = draw(st.tuples(*[st.floats(-180, 180)] * 3))
    direction = Rotation.from_euler("zyx", angles, degrees=True).as_matrix()
    if draw(st.booleans()):
        direction[:, 2] *= -1
    return Volume(
        values.astype(dtype),
        draw(st.tuples(sizes, sizes, sizes)),
        draw(st.tuples(places, places, places)),
        direction,
        draw(st.sampled_from(["clinical", "micro", "unknown"])),
        draw(st.sampled_from(["HU", "raw"])),
    )


def small_volume(dtype: str = "int16", shape: tuple[int, int, int] = (4, 5, 6)) -> Volume:
    rng = np.random.default_rng(5)
    values = rng.integers(0, 200, shape).astype(dtype)
    return Volume(values, (2.5, 0.7, 0.6), (10.0, -20.0, 30.0), OBLIQUE, "clinical", "HU")


def saved_by_nibabel(
    path: Path, data: np.ndarray, affine: Any = None, edit: Callable[[Any], None] | None = None
) -> Path:
    image = nib.Nifti1Image(data, np.diag([0.6, 0.7, 2.5, 1.0]) if affine is None else affine)
    if edit is not None:
        edit(image.header)
    nib.save(image, path)
    return path


def patched(path: Path, offset: int, layout: str, *values: Any) -> Path:
    content = bytearray(path.read_bytes())
    struct.pack_into("<" + layout, content, offset, *values)
    path.write_bytes(content)
    return path


@settings(max_examples=25, deadline=None)
@given(volume=volumes(), suffix=st.sampled_from([".nii", ".nii.gz"]))
def test_simpleitk_finds_what_was_written_and_so_does_the_reader(volume: Volume, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"scan{suffix}"
        write_nifti(volume, path)
        image = sitk.ReadImage(str(path))
        again = read_nifti(path)
        values = again.array()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume.data)
    np.testing.assert_allclose(image.GetSpacing()[::-1], volume.spacing, rtol=1e-5)
    np.testing.assert_allclose(image.GetOrigin(), volume.origin, atol=1e-4)
    np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3)), volume.direction, atol=1e-5)
    np.testing.assert_array_equal(values, volume.data)
    assert again.data.dtype == volume.data.dtype
    np.testing.assert_allclose(again.affine, volume.affine, rtol=1e-6, atol=1e-4)
    assert (again.modality, again.units) == (volume.modality, volume.units)


@settings(max_examples=15, deadline=None)
@given(volume=volumes(), suffix=st.sampled_from([".nii", ".nii.gz"]))
def test_a_file_of_simpleitk_is_read_in_the_same_place(volume: Volume, suffix: str) -> None:
    image = sitk.GetImageFromArray(volume.data)
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.origin)
    image.SetDirection(np.ravel(volume.direction).tolist())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"scan{suffix}"
        sitk.WriteImage(image, str(path))
        again = read_nifti(path)
        np.testing.assert_array_equal(again.array(), volume.data)
    np.testing.assert_allclose(again.spacing, volume.spacing, rtol=1e-5)
    np.testing.assert_allclose(again.origin, volume.origin, atol=1e-4)
    np.testing.assert_allclose(again.direction, volume.direction, atol=1e-5)
    assert (again.modality, again.units) == ("unknown", "raw")


@pytest.mark.parametrize("degrees", [0.0, 0.05, 2.6, 2.8])
def test_a_turn_that_the_rounding_of_a_quaternion_swallows_is_read_back(tmp_path: Path, degrees: float) -> None:
    tilt = Rotation.from_euler("yx", [degrees, degrees], degrees=True).as_matrix()
    values = np.zeros((2, 4000, 2), np.int16)
    write_nifti(Volume(values, (3.0, 0.01, 0.01), (0.0, 0.0, 0.0), tilt, "micro", "raw"), tmp_path / "a.nii")
    again = read_nifti(tmp_path / "a.nii")
    np.testing.assert_allclose(again.direction, tilt, atol=1e-6)
    assert again.notes == ()


def test_both_affines_are_set_in_scanner_space_and_in_millimetres(tmp_path: Path) -> None:
    volume = small_volume()
    write_nifti(volume, tmp_path / "a.nii")
    header: Any = nib.load(tmp_path / "a.nii").header
    ras = np.diag([-1, -1, 1, 1]) @ volume.affine
    for affine, code in (header.get_qform(coded=True), header.get_sform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(affine, ras, atol=1e-5)
    assert header.get_xyzt_units()[0] == "mm"
    assert header["descrip"].item() == b"ctloupe;modality=clinical;units=HU;research use only"


def test_an_uncompressed_file_is_read_on_demand_and_equals_the_compressed_one(tmp_path: Path) -> None:
    volume = small_volume()
    write_nifti(volume, tmp_path / "a.nii")
    write_nifti(volume, tmp_path / "a.nii.gz")
    lazy, whole = read_nifti(tmp_path / "a.nii").data, read_nifti(tmp_path / "a.nii.gz").data
    assert isinstance(lazy, LazyArray)
    assert isinstance(whole, np.ndarray)
    np.testing.assert_array_equal(lazy[1:3, ::2, 4], whole[1:3, ::2, 4])
    np.testing.assert_array_equal(np.asarray(lazy), whole)


def test_lazily_read_voxels_are_written_slab_by_slab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(7 * 3 * 4, dtype=np.int16).reshape(7, 3, 4)
    depths: list[int] = []

    def block(key: tuple[slice, slice, slice]) -> np.ndarray:
        depths.append(key[0].stop - key[0].start)
        return values[key]

    monkeypatch.setattr("ctloupe.volume.slabs.SLAB_BYTES", 2 * values[0].nbytes)
    write_nifti(Volume(LazyArray(values.shape, values.dtype, block, "source"), (1, 1, 1)), tmp_path / "a.nii")
    assert depths == [2, 2, 2, 1]
    np.testing.assert_array_equal(read_nifti(tmp_path / "a.nii").array(), values)


def test_equal_volumes_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(small_volume(), tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_an_axis_beyond_nifti_1_gives_nifti_2(tmp_path: Path) -> None:
    volume = Volume(np.arange(40000, dtype=np.int16).reshape(1, 1, -1), (1, 1, 1))
    write_nifti(volume, tmp_path / "a.nii")
    assert isinstance(nib.load(tmp_path / "a.nii"), nib.Nifti2Image)
    np.testing.assert_array_equal(read_nifti(tmp_path / "a.nii").array(), volume.data)


def test_reading_leaves_the_file_alone_and_results_can_be_changed(tmp_path: Path) -> None:
    write_nifti(small_volume(), tmp_path / "a.nii")
    before = (tmp_path / "a.nii").read_bytes()
    read_nifti(tmp_path / "a.nii").array()[:] = 7
    assert (tmp_path / "a.nii").read_bytes() == before


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_big_endian_file_gives_native_numbers(tmp_path: Path, suffix: str) -> None:
    values = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    image = nib.Nifti1Image(values, np.eye(4), header=header)
    nib.save(image, tmp_path / f"a{suffix}")
    again = read_nifti(tmp_path / f"a{suffix}")
    assert again.data.dtype == np.dtype("=i2")
    np.testing.assert_array_equal(again.array(), values.T)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("stored", "slope", "inter", "dtype"),
    [
        ("int16", 1.0, 0.0, "int16"),
        ("int16", 0.0, 5.0, "int16"),
        ("int16", float("nan"), 0.0, "int16"),
        ("uint8", 2.0, -100.0, "int16"),
        ("uint16", 1.0, -1024.0, "int32"),
        ("int16", 0.5, 3.25, "float32"),
        ("float64", 1.0, 0.0, "float32"),
        ("int32", 1.0, -1024.0, "float32"),
    ],
)
def test_the_scaling_of_the_header_is_applied(
    tmp_path: Path, suffix: str, stored: str, slope: float, inter: float, dtype: str
) -> None:
    values = np.random.default_rng(1).integers(0, 256, (3, 4, 5)).astype(stored)
    plain = saved_by_nibabel(tmp_path / "p.nii", values)
    patched(plain, 112, "ff", slope, inter)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(plain.read_bytes()) if suffix == ".nii.gz" else plain.read_bytes())
    volume = read_nifti(path)
    applied = values if slope == 0 or np.isnan(slope) else values * slope + inter
    assert volume.data.dtype == dtype
    np.testing.assert_allclose(volume.array(), applied.T, rtol=1e-6)


@pytest.mark.parametrize(("unit", "millimetres"), [("micron", 0.001), ("meter", 1000.0), ("mm", 1.0), ("unknown", 1.0)])
def test_units_of_length_become_millimetres(tmp_path: Path, unit: str, millimetres: float) -> None:
    affine = nib.affines.from_matvec(np.diag([6.0, 7.0, 25.0]), [10, 20, 30])
    data = np.zeros((2, 3, 4), np.int16)
    path = saved_by_nibabel(tmp_path / "a.nii", data, affine, lambda header: header.set_xyzt_units(unit))
    volume = read_nifti(path)
    np.testing.assert_allclose(volume.spacing, np.array([25, 7, 6]) * millimetres, rtol=1e-6)
    np.testing.assert_allclose(volume.origin, np.array([-10, -20, 30]) * millimetres, rtol=1e-6)


def test_without_an_affine_the_voxel_size_is_kept_and_the_history_tells(tmp_path: Path) -> None:
    write_nifti(small_volume(), tmp_path / "a.nii")
    patched(tmp_path / "a.nii", 252, "hh", 0, 0)
    volume = read_nifti(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.spacing, (2.5, 0.7, 0.6), rtol=1e-6)
    np.testing.assert_array_equal(volume.affine[:3, 3], 0)
    assert volume.history == ("no orientation in the header",)


def test_only_the_qform_is_enough(tmp_path: Path) -> None:
    volume = small_volume()
    write_nifti(volume, tmp_path / "a.nii")
    patched(tmp_path / "a.nii", 254, "h", 0)
    np.testing.assert_allclose(read_nifti(tmp_path / "a.nii").affine, volume.affine, atol=1e-5)


def test_statements_of_the_voxel_size_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    write_nifti(small_volume(), tmp_path / "bad.nii")
    patched(tmp_path / "bad.nii", 80, "3f", 0.6, 0.7, 5.0)
    with pytest.raises(GeometryError, match=r"bad\.nii: voxel sizes of 0\.6×0\.7×2\.5 in the sform and 0\.6×0\.7×5 in"):
        read_nifti(tmp_path / "bad.nii")


def test_sform_and_qform_that_contradict_each_other_are_refused_in_one_space_and_noted_in_two(tmp_path: Path) -> None:
    write_nifti(small_volume(), tmp_path / "a.nii")
    patched(tmp_path / "a.nii", 268, "3f", 10.0, -20.0, 70.0)
    with pytest.raises(GeometryError, match=r"a\.nii: sform and qform state the same space \(code 1\) and places"):
        read_nifti(tmp_path / "a.nii")
    patched(tmp_path / "a.nii", 254, "h", 2)
    (note,) = read_nifti(tmp_path / "a.nii").notes
    assert note.startswith("sform (code 2) and qform (code 1) lie ") and note.endswith("the sform is taken")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_voxels_are_never_taken_from_the_header_and_that_is_noted(tmp_path: Path, suffix: str) -> None:
    volume = small_volume()
    write_nifti(volume, tmp_path / "plain.nii")
    patched(tmp_path / "plain.nii", 108, "f", 0.0)
    content = (tmp_path / "plain.nii").read_bytes()
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    found = read_nifti(path)
    np.testing.assert_array_equal(found.array(), volume.data)
    assert found.notes == ("vox_offset is 0; the voxels are taken from byte 352, behind the header",)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("offset", [1e30, float("inf"), float("nan"), -1.0])
def test_an_offset_that_no_file_has_is_refused(tmp_path: Path, suffix: str, offset: float) -> None:
    write_nifti(small_volume(), tmp_path / "bad.nii")
    patched(tmp_path / "bad.nii", 108, "f", offset)
    path = tmp_path / f"bad{suffix}"
    if suffix == ".nii.gz":
        path.write_bytes(gzip.compress((tmp_path / "bad.nii").read_bytes()))
    with pytest.raises(FileError, match=rf"bad\{suffix}: vox_offset is"):
        read_nifti(path)


def test_a_compressed_file_is_not_inflated_far_beyond_its_voxels(tmp_path: Path) -> None:
    write_nifti(small_volume(), tmp_path / "a.nii")
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes() + bytes(1 << 22), 1))
    with pytest.raises(FileError, match=r"a\.nii\.gz: .* goes on for more than 1048576 bytes behind them"):
        read_nifti(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_bytes_behind_the_voxels_are_noted(tmp_path: Path, suffix: str) -> None:
    write_nifti(small_volume(), tmp_path / "a.nii")
    content = (tmp_path / "a.nii").read_bytes() + b"\0" * 16
    (tmp_path / f"b{suffix}").write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    (note,) = read_nifti(tmp_path / f"b{suffix}").notes
    assert note == "the file goes on for 16 bytes behind the voxels that its header promises"


def test_a_trailing_axis_of_one_is_dropped_and_a_real_fourth_axis_refused(tmp_path: Path) -> None:
    data = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    one = patched(saved_by_nibabel(tmp_path / "one.nii", data), 40, "8h", 4, 2, 3, 4, 1, 1, 1, 1)
    np.testing.assert_array_equal(read_nifti(one).array(), data.T)
    many = saved_by_nibabel(tmp_path / "many.nii", np.zeros((2, 3, 4, 5), np.int16))
    with pytest.raises(GeometryError, match=r"many\.nii: 4-D \(2×3×4×5\).*extract one volume"):
        read_nifti(many)


def test_a_description_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    def describe(header: Any) -> None:
        header["descrip"] = b"tool;modality=micro;units=HU"

    volume = read_nifti(saved_by_nibabel(tmp_path / "a.nii", np.zeros((2, 2, 2), np.int16), edit=describe))
    assert (volume.modality, volume.units) == ("unknown", "raw")


def test_a_truncated_file_names_promised_and_found_bytes(tmp_path: Path) -> None:
    write_nifti(small_volume(), tmp_path / "cut.nii")
    content = (tmp_path / "cut.nii").read_bytes()
    (tmp_path / "cut.nii").write_bytes(content[:-40])
    with pytest.raises(FileError, match=r"cut\.nii: the header promises 240 bytes of voxels, the file holds 200"):
        read_nifti(tmp_path / "cut.nii")
    (tmp_path / "cut.nii").write_bytes(content[:100])
    with pytest.raises(FileError, match=r"cut\.nii: no NIfTI header"):
        read_nifti(tmp_path / "cut.nii")


def test_a_damaged_compressed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.nii.gz"
    write_nifti(small_volume(), path)
    whole = path.read_bytes()
    short = gzip.compress(gzip.decompress(whole)[:-40])
    path.write_bytes(short)
    with pytest.raises(FileError, match=r"cut\.nii\.gz: the header promises 240 .* holds 200"):
        read_nifti(path)
    wrong_sum = whole[:-8] + b"\0\0\0\0" + whole[-4:]
    wrong_inside = whole[:60] + b"\xff" * 9 + whole[69:]
    for damaged in (whole[:-30], whole[:8], wrong_sum, wrong_inside):
        path.write_bytes(damaged)
        with pytest.raises(FileError, match=r"cut\.nii\.gz: the compressed data is damaged or cut short"):
            read_nifti(path)


def test_a_compressed_file_cannot_promise_more_than_it_could_hold(tmp_path: Path) -> None:
    write_nifti(small_volume(), tmp_path / "a.nii")
    patched(tmp_path / "a.nii", 42, "3h", 32767, 32767, 32767)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()))
    with pytest.raises(FileError, match=r"a\.nii\.gz: the header promises 7036\d+ bytes .* at most"):
        read_nifti(tmp_path / "a.nii.gz")


def fault(name: str, folder: Path) -> Path:
    path = folder / "bad.nii"
    if name == "complex":
        return saved_by_nibabel(path, np.zeros((2, 2, 2), np.complex64))
    if name == "colour":
        return saved_by_nibabel(path, np.zeros((2, 2, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")]))
    write_nifti(small_volume(), path)
    edits: dict[str, tuple[Any, ...]] = {
        "sheared": (280, "4f", 1.0, 0.5, 0.0, 0.0),
        "zero column": (280, "12f", *[0.0] * 12),
        "no size": (80, "3f", 0.0, 0.0, 0.0),
        "unit": (123, "b", 5),
        "type": (70, "h", 999),
        "empty axis": (46, "h", 0),
        "dimensions": (40, "h", 2),
        "intercept": (112, "ff", 2.0, float("nan")),
        "pair": (344, "4s", b"ni1\0"),
        "analyze": (344, "4s", b"\0\0\0\0"),
    }
    if name == "no size":
        patched(path, 252, "hh", 0, 0)
    return patched(path, *edits[name])


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("complex", IntensityError, "complex voxels"),
        ("colour", IntensityError, "colour voxels"),
        ("sheared", GeometryError, "not orthonormal"),
        ("zero column", GeometryError, "zero or non-finite column"),
        ("no size", GeometryError, "a voxel size of 0×0×0"),
        ("unit", GeometryError, "unknown unit of length"),
        ("type", FileError, "damaged NIfTI header"),
        ("empty axis", GeometryError, "axis of length 0"),
        ("dimensions", GeometryError, "2-D"),
        ("intercept", IntensityError, "scl_inter is nan"),
        ("pair", FileError, "pair of header and voxels"),
        ("analyze", FileError, "Analyze 7.5"),
    ],
)
def test_each_fault_of_a_header_is_one_line_with_the_name_of_the_file(
    tmp_path: Path, name: str, error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as caught:
        read_nifti(fault(name, tmp_path))
    message = str(caught.value)
    assert "bad.nii: " in message
    assert told in message
    assert "\n" not in message


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_when_met(tmp_path: Path, bad: float) -> None:
    data = np.zeros((2, 3, 4), np.float32)
    data[1, 2, 3] = bad
    lazy = read_nifti(saved_by_nibabel(tmp_path / "bad.nii", data))
    assert lazy.data[0].max() == 0
    with pytest.raises(IntensityError, match=r"bad\.nii: 1 voxels are NaN or infinite"):
        lazy.data[3]
    with pytest.raises(IntensityError, match=r"bad\.nii\.gz: 1 voxels are NaN or infinite"):
        read_nifti(saved_by_nibabel(tmp_path / "bad.nii.gz", data))
    with pytest.raises(IntensityError, match="1 voxels"):
        write_nifti(Volume(data.T, (1, 1, 1)), tmp_path / "out.nii")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.nii: no such file"):
        read_nifti(tmp_path / "none.nii")


def test_a_type_that_nifti_has_not_got_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntensityError, match=r"a\.nii: NIfTI cannot hold float16"):
        write_nifti(Volume(np.zeros((2, 2, 2), np.float16), (1, 1, 1)), tmp_path / "a.nii")
