"""MetaImage and NRRD files: geometry against SimpleITK, and the faults it says nothing about."""

from __future__ import annotations

import re
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ctloupe.foundation.errors import FileError, GeometryError, IntensityError
from ctloupe.volume.formats.itk.reader import read_itk
from ctloupe.volume.formats.itk.writer import write_itk
from ctloupe.volume.volume import LazyArray, Volume

SUFFIXES = [".mha", ".mhd", ".nrrd"]
ATTACHED = [".mha", ".nrrd"]
VALUES = np.random.default_rng(3).integers(-1000, 3000, (4, 5, 6)).astype(np.int16)


@st.composite
def volumes(draw: st.DrawFn) -> Volume:
    shape = draw(st.tuples(*[st.integers(1, 9)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.uniform(-1000, 3000, shape).astype(draw(st.sampled_from(["int16", "float32"])))
    sizes, places, angles = st.floats(0.001, 8), st.floats(-500, 500), st.floats(-180, 180)
    direction = Rotation.from_euler("zyx", draw(st.tuples(angles, angles, angles)), degrees=True).as_matrix()
    return Volume(
        values,
        draw(st.tuples(sizes, sizes, sizes)),
        draw(st.tuples(places, places, places)),
        direction,
        draw(st.sampled_from(["clinical", "micro", "unknown"])),
        draw(st.sampled_from(["HU", "raw"])),
    )


def as_image(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(volume.data)
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.origin)
    image.SetDirection(np.ravel(volume.direction).tolist())
    return image


def require_same_place(image: sitk.Image, volume: Volume) -> None:
    np.testing.assert_allclose(image.GetSpacing()[::-1], volume.spacing, rtol=1e-12)
    np.testing.assert_allclose(image.GetOrigin(), volume.origin, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3)), volume.direction, atol=1e-12)


def scan(path: Path, compressed: bool = False) -> Path:
    sitk.WriteImage(as_image(Volume(VALUES, (2.5, 0.7, 0.6))), str(path), useCompression=compressed)
    return path


def header_edited(path: Path, pattern: bytes, replacement: bytes) -> Path:
    content, count = re.subn(pattern, replacement, path.read_bytes(), count=1)
    assert count == 1
    path.write_bytes(content)
    return path


@settings(max_examples=25, deadline=None)
@given(volume=volumes(), suffix=st.sampled_from(SUFFIXES))
def test_simpleitk_finds_what_was_written_and_so_does_the_reader(volume: Volume, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"scan{suffix}"
        write_itk(volume, path)
        image = sitk.ReadImage(str(path))
        again = read_itk(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume.data)
    require_same_place(image, volume)
    require_same_place(image, again)
    np.testing.assert_array_equal(again.data, volume.data)
    assert again.data.dtype == volume.data.dtype
    assert (again.modality, again.units) == (volume.modality, volume.units)


@settings(max_examples=25, deadline=None)
@given(volume=volumes(), suffix=st.sampled_from(SUFFIXES), compressed=st.booleans())
def test_a_file_of_simpleitk_is_read_in_the_same_place(volume: Volume, suffix: str, compressed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"scan{suffix}"
        image = as_image(volume)
        sitk.WriteImage(image, str(path), useCompression=compressed)
        again = read_itk(path)
    np.testing.assert_array_equal(again.data, volume.data)
    require_same_place(image, again)
    assert (again.modality, again.units) == ("unknown", "raw")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_booleans_and_lazily_read_voxels_can_be_written(tmp_path: Path, suffix: str) -> None:
    mask = VALUES > 0
    lazy = LazyArray(mask.shape, mask.dtype, lambda block: mask[block], "mask")
    write_itk(Volume(lazy, (1, 1, 1)), tmp_path / f"mask{suffix}")
    again = read_itk(tmp_path / f"mask{suffix}")
    assert again.data.dtype == np.uint8
    np.testing.assert_array_equal(again.data, mask)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_written_file_says_research_use_only(tmp_path: Path, suffix: str) -> None:
    write_itk(Volume(VALUES, (1, 1, 1)), tmp_path / f"a{suffix}")
    assert sitk.ReadImage(str(tmp_path / f"a{suffix}")).GetMetaData("ctloupe_notice").startswith("Research use only")


def test_float64_becomes_float32_and_integers_stay(tmp_path: Path) -> None:
    for dtype, expected in (("float64", "float32"), ("int32", "int32"), ("uint8", "uint8")):
        sitk.WriteImage(sitk.GetImageFromArray(np.ones((2, 3, 4), dtype)), str(tmp_path / "a.nrrd"))
        assert read_itk(tmp_path / "a.nrrd").data.dtype == expected


@pytest.mark.parametrize(("unit", "millimetres"), [("um", 1e-3), ("mm", 1.0), ("cm", 10.0)])
def test_units_other_than_millimetres_are_converted(tmp_path: Path, unit: str, millimetres: float) -> None:
    mha = header_edited(scan(tmp_path / "a.mha"), rb"DimSize", f"DistanceUnits = {unit}\nDimSize".encode())
    quoted = f'encoding: raw\nspace units: "{unit}" "{unit}" "{unit}"'.encode()
    nrrd = header_edited(scan(tmp_path / "a.nrrd"), rb"encoding: raw", quoted)
    for path in (mha, nrrd):
        np.testing.assert_allclose(read_itk(path).spacing, np.array([2.5, 0.7, 0.6]) * millimetres)


@pytest.mark.parametrize("suffix", ATTACHED)
def test_a_truncated_file_names_promised_and_found_bytes(tmp_path: Path, suffix: str) -> None:
    path = scan(tmp_path / f"cut{suffix}")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(FileError, match=rf"cut\{suffix}: the header promises 240 bytes .* the file holds 200;"):
        read_itk(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_more_voxels_than_promised_are_refused(tmp_path: Path, suffix: str) -> None:
    path = scan(tmp_path / f"long{suffix}")
    voxels = tmp_path / "long.raw" if suffix == ".mhd" else path
    voxels.write_bytes(voxels.read_bytes() + b"\0\0")
    with pytest.raises(FileError, match=rf"long\{suffix}: the header promises 240 bytes .* holds more"):
        read_itk(path)


def test_a_truncated_or_missing_raw_file_is_named(tmp_path: Path) -> None:
    path = scan(tmp_path / "cut.mhd")
    raw = tmp_path / "cut.raw"
    raw.write_bytes(raw.read_bytes()[:-40])
    with pytest.raises(FileError, match=r"cut\.mhd: the header promises 240 bytes .* cut\.raw holds 200;"):
        read_itk(path)
    raw.unlink()
    with pytest.raises(FileError, match=r"cut\.mhd: its voxels .* cut\.raw, which is missing"):
        read_itk(path)


def test_voxels_behind_a_foreign_header_are_found(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.mhd")
    raw = tmp_path / "a.raw"
    raw.write_bytes(b"x" * 10 + raw.read_bytes())
    header_edited(path, rb"DimSize", b"HeaderSize = 10\nDimSize")
    np.testing.assert_array_equal(read_itk(path).data, VALUES)
    header_edited(path, rb"HeaderSize = 10", b"HeaderSize = -1")
    np.testing.assert_array_equal(read_itk(path).data, VALUES)
    header_edited(path, rb"HeaderSize = -1", b"HeaderSize = 11")
    with pytest.raises(FileError, match=r"promises 240 bytes .* a\.raw holds 239"):
        read_itk(path)


@pytest.mark.parametrize("suffix", ATTACHED)
def test_damaged_compressed_voxels_are_refused(tmp_path: Path, suffix: str) -> None:
    path = scan(tmp_path / f"bad{suffix}", compressed=True)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-40] ^= 0xFF
    for damaged in (whole[:-30], bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(FileError) as caught:
            read_itk(path)
        assert f"bad{suffix}: " in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ATTACHED)
def test_no_changed_byte_of_compressed_voxels_is_read_as_voxels(tmp_path: Path, suffix: str) -> None:
    path = scan(tmp_path / f"bad{suffix}", compressed=True)
    whole = path.read_bytes()
    begin = whole.index(b"LOCAL\n") + 6 if suffix == ".mha" else whole.index(b"\n\n") + 2
    refused = 0
    for at in range(begin, len(whole), 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            np.testing.assert_array_equal(read_itk(path).data, VALUES)
        except FileError:
            refused += 1
    assert refused > 0.9 * (len(whole) - begin) / 3


def test_compressed_voxels_fewer_than_promised_are_refused(tmp_path: Path) -> None:
    path = scan(tmp_path / "bad.mha", compressed=True)
    head = path.read_bytes().split(b"LOCAL\n")[0]
    packed = zlib.compress(VALUES.tobytes()[:-40])
    head = re.sub(rb"CompressedDataSize = \d+", b"CompressedDataSize = %d" % len(packed), head)
    path.write_bytes(head + b"LOCAL\n" + packed)
    with pytest.raises(FileError, match=r"bad\.mha: the header promises 240 bytes .* holds 200"):
        read_itk(path)


@pytest.mark.parametrize("stated", [b"", b"CompressedDataSize = 0\n", b"CompressedDataSize = 20\n"])
def test_a_length_of_the_compressed_voxels_that_is_not_theirs_is_refused(tmp_path: Path, stated: bytes) -> None:
    path = header_edited(scan(tmp_path / "bad.mha", compressed=True), rb"CompressedDataSize = \d+\n", stated)
    with pytest.raises(
        FileError, match=r"bad\.mha: CompressedDataSize is .*; write CompressedDataSize = \d+"
    ) as caught:
        read_itk(path)
    told = re.search(r"write (CompressedDataSize = \d+)", str(caught.value))
    assert told is not None
    mended = re.sub(rb"CompressedDataSize[^\n]*\n", b"", path.read_bytes())
    path.write_bytes(mended.replace(b"ElementDataFile", told[1].encode() + b"\nElementDataFile", 1))
    np.testing.assert_array_equal(read_itk(path).data, VALUES)


@pytest.mark.parametrize("suffix", ATTACHED)
def test_voxels_that_the_memory_cannot_hold_are_refused_before_they_are_read(tmp_path: Path, suffix: str) -> None:
    path = scan(tmp_path / f"vast{suffix}")
    head = path.read_bytes()[: -VALUES.nbytes]
    length = 2**13
    head = re.sub(rb"(DimSize =|sizes:) 6 5 4", rb"\1 %d %d %d" % (length, length, length), head)
    path.write_bytes(head)
    with path.open("r+b") as file:
        file.truncate(len(head) + 2 * length**3)
    with pytest.raises(FileError, match=rf"vast\{suffix}: its header promises 1099\.5 GB"):
        read_itk(path)


def test_a_field_that_the_library_could_not_quote_is_refused(tmp_path: Path) -> None:
    path = header_edited(scan(tmp_path / "long.nrrd"), rb"encoding", b"spacings: " + b"1 " * 50_000 + b"\nencoding")
    with pytest.raises(FileError, match=r"long\.nrrd: field 'spacings' of the header has 100010 characters"):
        read_itk(path)
    header_edited(path, rb"spacings[^\n]*\n", b"# " + b"a comment " * 10_000 + b"\n")
    np.testing.assert_array_equal(read_itk(path).data, VALUES)


@pytest.mark.parametrize("suffix", ATTACHED)
def test_a_header_without_an_origin_is_noted(tmp_path: Path, suffix: str) -> None:
    path = header_edited(scan(tmp_path / f"a{suffix}"), rb"(Offset|space origin)[^\n]*\n", b"")
    volume = read_itk(path)
    assert volume.notes == ("no origin in the header, taken as zero",)
    assert volume.history == volume.notes


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, suffix: str, bad: float) -> None:
    values = VALUES.astype(np.float32)
    values[1, 2, 3] = bad
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / f"bad{suffix}"))
    with pytest.raises(IntensityError, match=rf"bad\{suffix}: 1 voxels are NaN or infinite"):
        read_itk(tmp_path / f"bad{suffix}")
    with pytest.raises(IntensityError, match="1 voxels"):
        write_itk(Volume(values, (1, 1, 1)), tmp_path / f"out{suffix}")
    assert not (tmp_path / f"out{suffix}").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_images_that_are_no_volumes_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"bad{suffix}"
    sitk.WriteImage(sitk.Image([2, 3, 4, 5], sitk.sitkInt16), str(path))
    with pytest.raises(GeometryError, match=rf"bad\{suffix}: 4-D \(2×3×4×5\).*extract one volume"):
        read_itk(path)
    sitk.WriteImage(sitk.Image([2, 3], sitk.sitkInt16), str(path))
    with pytest.raises(GeometryError, match=rf"bad\{suffix}: 2-D \(2×3\)"):
        read_itk(path)
    sitk.WriteImage(sitk.Image([2, 3, 4], sitk.sitkVectorInt16, 3), str(path))
    with pytest.raises(IntensityError, match=rf"bad\{suffix}: vector or complex voxels"):
        read_itk(path)


@pytest.mark.parametrize(
    ("suffix", "pattern", "replacement", "error", "told"),
    [
        (".mha", rb"ElementSpacing[^\n]*\n", b"", GeometryError, "no voxel size"),
        (".nrrd", rb"space directions[^\n]*\n", b"", GeometryError, "no voxel size"),
        (
            ".mha",
            rb"ElementSpacing = 0.\d+",
            b"ElementSpacing = -1",
            GeometryError,
            "voxel size of -1×0.7×2.5",
        ),
        (".mha", rb"ElementSpacing[^\n]*", b"ElementSpacing = 0.6 0.7", GeometryError, "2 numbers in the header"),
        (".mha", rb"TransformMatrix = 1", b"TransformMatrix = 1e308", GeometryError, "TransformMatrix = 1e308 0"),
        (".mha", rb"ElementSpacing[^\n]*", b"ElementSpacing = 1e308 1 1", GeometryError, "voxel size of 1e+308×1×1"),
        (".mha", rb"ElementSpacing[^\n]*", b"ElementSpacing = 1e-300 1 1", GeometryError, "voxel size of 1e-300×1×1"),
        (".mha", rb"ElementType[^\n]*\n", b"", FileError, "no field 'ElementType'"),
        (".mha", rb"DimSize[^\n]*\n", b"", FileError, "no field 'DimSize'"),
        (".mha", rb"DimSize = \d+", b"DimSize = nan", FileError, "DimSize = nan"),
        (".mha", rb"DimSize = \d+ ", b"DimSize = ", FileError, "expected 3 whole numbers"),
        (".mha", rb"DimSize", b"Eleme7 6 4\nDimSize", FileError, "line 'Eleme7 6 4' is no field"),
        (".mha", rb"Offset[^\n]*", b"Offset = nan 0 0", GeometryError, "Offset = nan 0 0 in the header"),
        (".mha", rb"Offset[^\n]*", b"Offset = 1", GeometryError, "Offset = 1 in the header; expected 3"),
        (".mha", rb"TransformMatrix[^\n]*", b"TransformMatrix = 1 0 0", GeometryError, "expected 9 finite numbers"),
        (".mha", rb"DimSize", b"Offset = 1 2 3\nDimSize", FileError, "'Offset' is twice"),
        (".mha", rb"MSB = False", b"MSB = perhaps", FileError, "BinaryDataByteOrderMSB is perhaps in the header"),
        (".nrrd", rb"endian: little", b"endian: middle", FileError, "endian is middle in the header"),
        (".mha", rb"LOCAL", b"/etc/passwd", FileError, "leads out of the folder"),
        (".mha", rb"LOCAL", b"../other.raw", FileError, "leads out of the folder"),
        (".nrrd", rb"space directions[^\n]*", b"spacings: 0.8 nan 2.5", GeometryError, "spacings is 0.8 nan 2.5"),
        (".nrrd", rb"space directions: \S+", b"space directions: none", GeometryError, "space directions is none"),
        (".nrrd", rb"space origin[^\n]*", b"space origin: (nan,0,0)", GeometryError, "space origin = nan 0 0 in"),
        (".mha", rb"TransformMatrix = 1 0", b"TransformMatrix = 1 0.3", GeometryError, "not orthonormal"),
        (".nrrd", rb"\(0,0.\d+,0\)", b"(0.3,0.7,0)", GeometryError, "not orthonormal"),
        (".mha", rb"DimSize", b"DistanceUnits = furlong\nDimSize", GeometryError, "unit of length 'furlong'"),
        (".nrrd", rb"enc", b'space units: "mm" "um" "mm"\nenc', GeometryError, "different units (mm, um)"),
        (".mha", rb"BinaryData = True", b"BinaryData = False", FileError, "written as text"),
        (".mha", rb"LOCAL", b"LIST", FileError, "several files"),
        (".mha", rb"ElementDataFile", b"Nothing", FileError, "without ElementDataFile"),
        (".mha", rb"MET_SHORT", b"MET_SHIRT", FileError, "damaged"),
        (".nrrd", rb"encoding: raw\n", b"", FileError, "damaged header"),
        (".nrrd", rb"type: short", b"type: shirt", FileError, "damaged"),
        (
            ".nrrd",
            rb"encoding: raw",
            b"encoding: raw\ndata file: LIST",
            FileError,
            "several files",
        ),
        (
            ".nrrd",
            rb"encoding: raw",
            b"encoding: raw\ndata file: away.raw",
            FileError,
            "away.raw, which",
        ),
    ],
)
def test_each_fault_of_a_header_is_one_line_with_the_name_of_the_file(
    tmp_path: Path, suffix: str, pattern: bytes, replacement: bytes, error: type[Exception], told: str
) -> None:
    path = header_edited(scan(tmp_path / f"bad{suffix}"), pattern, replacement)
    with pytest.raises(error) as caught:
        read_itk(path)
    message = str(caught.value)
    assert f"bad{suffix}: " in message
    assert told in message
    assert "\n" not in message
    assert "0x" not in message


def test_a_detached_nrrd_is_read(tmp_path: Path) -> None:
    sitk.WriteImage(as_image(Volume(VALUES, (2.5, 0.7, 0.6))), str(tmp_path / "a.nhdr"))
    np.testing.assert_array_equal(read_itk(tmp_path / "a.nhdr").data, VALUES)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.mha: no such file"):
        read_itk(tmp_path / "none.mha")


def test_a_type_that_simpleitk_has_not_got_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntensityError, match=r"a\.mha: float16 voxels cannot be written"):
        write_itk(Volume(np.zeros((2, 2, 2), np.float16), (1, 1, 1)), tmp_path / "a.mha")
