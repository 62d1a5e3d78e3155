"""One door for every format: recognised by content, written whole or not at all."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from scipy.spatial.transform import Rotation

from ctloupe.foundation.errors import CtLoupeError, FileError, IntensityError, OptionError
from ctloupe.volume.formats import READABLE, WRITABLE, detect, read, write
from ctloupe.volume.geometry import as_direction
from ctloupe.volume.volume import LazyArray, Volume

CT_SERIES = Path(__file__).resolve().parents[4] / "shared" / "data" / "chest-ct-lung-pet-ct-dx-A0001"
UPRIGHT_ONLY = (".tif", ".tiff", ".ome.tif", ".ome.tiff")
OBLIQUE = Rotation.from_euler("zyx", [20, -35, 50], degrees=True).as_matrix()
CONVERTED = {"bool": "uint8", "float16": "float32", "float64": "float32", "int64": "int32", "uint64": "int32"}
VALUES = np.random.default_rng(2).integers(-1000, 3000, (5, 6, 7)).astype(np.int16)
KINDS = {
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".mha": "metaimage",
    ".mhd": "metaimage",
    ".nrrd": "nrrd",
    ".tif": "tiff",
    ".ome.zarr": "ome-zarr",
}


def volume_for(suffix: str, data: object = VALUES) -> Volume:
    direction = as_direction(np.eye(3) if suffix in UPRIGHT_ONLY else OBLIQUE)
    return Volume(data, (2.5, 0.7, 0.6), (10.0, -20.0, 30.0), direction, "clinical", "HU")


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def dicom_file(path: Path) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=["formats"])
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    FileDataset(str(path), {}, file_meta=meta, preamble=b"II*\0" + bytes(124)).save_as(path)
    return path


@pytest.mark.parametrize("suffix", WRITABLE)
def test_every_writable_format_gives_the_volume_back(tmp_path: Path, suffix: str) -> None:
    volume = volume_for(suffix)
    path = tmp_path / "made" / f"scan.v2{suffix}"
    assert write(volume, path) == path
    again = read(path)
    np.testing.assert_array_equal(again.array(), VALUES)
    assert again.data.dtype == np.int16
    np.testing.assert_allclose(again.affine, volume.affine, rtol=1e-6, atol=1e-5)
    assert (again.modality, again.units) == ("clinical", "HU")
    assert names(path.parent) == (["scan.v2.mhd", "scan.v2.raw"] if suffix == ".mhd" else [path.name])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".mhd", ".nrrd"])
def test_all_formats_with_a_direction_agree_with_simpleitk(tmp_path: Path, suffix: str) -> None:
    volume = volume_for(suffix)
    image = sitk.ReadImage(str(write(volume, tmp_path / f"a{suffix}")))
    for index in ((0, 0, 0), (4, 5, 6), (1, 3, 2)):
        point = image.TransformIndexToPhysicalPoint(index[::-1])
        np.testing.assert_allclose(point, volume.physical(index), atol=1e-4)


@pytest.mark.parametrize(("suffix", "kind"), KINDS.items())
def test_a_format_is_recognised_under_a_wrong_name(tmp_path: Path, suffix: str, kind: str) -> None:
    written = write(volume_for(suffix), tmp_path / f"a{suffix}")
    assert detect(written) == kind
    renamed = written.rename(tmp_path / "scan.dat")
    assert detect(renamed) == kind


def test_big_tiff_and_both_byte_orders_are_tiff(tmp_path: Path) -> None:
    for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        (tmp_path / "a").write_bytes(magic + bytes(200))
        assert detect(tmp_path / "a") == "tiff"


def test_dicom_is_recognised_in_files_and_folders_even_behind_a_tiff_preamble(tmp_path: Path) -> None:
    file = dicom_file(tmp_path / "IM0001")
    assert detect(file) == "dicom"
    assert detect(tmp_path) == "dicom"
    (tmp_path / "deep" / "er").mkdir(parents=True)
    file.rename(tmp_path / "deep" / "er" / "IM0001")
    assert detect(tmp_path) == "dicom"


def test_a_folder_of_tiff_slices_is_recognised(tmp_path: Path) -> None:
    for z in (0, 2, 10):
        page = sitk.GetImageFromArray(np.full((3, 4), z, np.uint8))
        sitk.WriteImage(page, str(tmp_path / f"s{z}.tif"))
    assert detect(tmp_path) == "tiff"


def test_a_folder_of_both_or_of_neither_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(FileError, match="holds 1 files, none of them DICOM or TIFF; readable are"):
        detect(tmp_path)
    write(volume_for(".nii"), tmp_path / "a.nii")
    with pytest.raises(FileError, match=r"name one file of it, as a\.nii"):
        read(tmp_path)
    dicom_file(tmp_path / "a.dcm")
    write(volume_for(".tif"), tmp_path / "a.tif")
    with pytest.raises(FileError, match="DICOM and TIFF files together"):
        read(tmp_path)


@pytest.mark.skipif(not CT_SERIES.is_dir(), reason="the real CT series is not beside the project")
def test_a_real_series_goes_through_every_format_unchanged(tmp_path: Path) -> None:
    for file in sorted(CT_SERIES.glob("*.dcm"))[:3]:
        shutil.copy(file, tmp_path)
    scan = read(tmp_path)
    for suffix in (".nii", ".mha", ".nrrd", ".ome.zarr"):
        again = read(write(scan, tmp_path / "out" / f"a{suffix}"))
        np.testing.assert_array_equal(again.array(), scan.array())
        np.testing.assert_allclose(again.affine, scan.affine, rtol=1e-6, atol=1e-4)
        assert (again.modality, again.units) == ("clinical", "HU")


@pytest.mark.parametrize("name", ["none.nii", "none", "none.ome.zarr"])
def test_a_missing_path_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match=f"{name}: no such file"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "a.nrrd", "a.tif", "a.dcm", "a.bin"])
@pytest.mark.parametrize(("content", "told"), [(b"", "the file is empty"), (b"garbage\n" * 99, "")])
def test_empty_files_and_garbage_are_refused_with_what_is_readable(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError) as caught:
        read(tmp_path / name)
    message = str(caught.value)
    assert f"{name}: {told}" in message
    assert all(suffix in message for suffix in READABLE)
    assert "\n" not in message


def test_a_compressed_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.gz").write_bytes(gzip.compress(b"hello" * 100))
    with pytest.raises(FileError, match=r"notes\.gz: in no readable format"):
        read(tmp_path / "notes.gz")
    (tmp_path / "notes.nii.gz").write_bytes(gzip.compress(b"hello" * 200))
    with pytest.raises(FileError, match=r"notes\.nii\.gz: no NIfTI header"):
        read(tmp_path / "notes.nii.gz")


@pytest.mark.parametrize("suffix", [suffix for suffix in KINDS if suffix != ".tif"])
def test_options_of_other_formats_are_refused(tmp_path: Path, suffix: str) -> None:
    path = write(volume_for(suffix), tmp_path / f"a{suffix}")
    with pytest.raises(OptionError, match="a voxel size was given"):
        read(path, voxel_size=(1, 1, 1))
    with pytest.raises(OptionError, match="a series was given"):
        read(path, series=1)


@pytest.mark.parametrize("name", ["a.png", "a", "a.dcm", "a.gz"])
def test_an_unknown_output_suffix_lists_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError) as caught:
        write(volume_for(".nii"), tmp_path / name)
    assert all(suffix in str(caught.value) for suffix in WRITABLE)


@pytest.mark.parametrize("suffix", KINDS)
def test_an_existing_output_needs_overwrite(tmp_path: Path, suffix: str) -> None:
    path = write(volume_for(suffix), tmp_path / f"a{suffix}")
    other = volume_for(suffix, VALUES[:2] + 1)
    with pytest.raises(FileError, match=rf"a\{suffix[:4]}.*`overwrite`"):
        write(other, path)
    np.testing.assert_array_equal(read(path).array(), VALUES)
    write(other, path, overwrite=True)
    np.testing.assert_array_equal(read(path).array(), VALUES[:2] + 1)


def test_a_raw_file_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_text("theirs")
    with pytest.raises(FileError, match=r"a\.raw: exists already"):
        write(volume_for(".mhd"), tmp_path / "a.mhd")
    assert (tmp_path / "a.raw").read_text() == "theirs"
    assert names(tmp_path) == ["a.raw"]


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("fault", ["not finite", "interrupted"])
def test_a_failing_write_leaves_nothing_and_names_the_output(tmp_path: Path, suffix: str, fault: str) -> None:
    values = VALUES.astype(np.float32)
    values[-1, -1, -1] = np.nan

    def interrupt(block: tuple[slice, slice, slice]) -> np.ndarray:
        raise KeyboardInterrupt

    lazy = LazyArray(VALUES.shape, VALUES.dtype, interrupt, "scan")
    volume = volume_for(suffix, values if fault == "not finite" else lazy)
    with pytest.raises(IntensityError if fault == "not finite" else KeyboardInterrupt) as caught:
        write(volume, tmp_path / f"a{suffix}")
    assert names(tmp_path) == []
    assert "partial" not in str(caught.value)


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize(
    ("dtype", "stored"),
    [
        ("bool", "uint8"),
        ("float16", "float32"),
        ("float64", "float32"),
        ("int64", "int32"),
        ("uint64", "int32"),
    ],
)
def test_types_without_a_common_home_are_converted(tmp_path: Path, suffix: str, dtype: str, stored: str) -> None:
    values = (VALUES > 0).astype(dtype) if dtype == "bool" else np.abs(VALUES).astype(dtype)
    again = read(write(volume_for(suffix, values), tmp_path / f"a{suffix}"))
    assert again.data.dtype == stored
    np.testing.assert_array_equal(again.array(), values)


def test_values_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IntensityError, match=r"a\.nii: int64 values from 0 to 2147483648 do not fit int32"):
        write(volume_for(".nii", np.array([[[0, 2**31]]])), tmp_path / "a.nii")
    with pytest.raises(IntensityError, match=r"a\.nii: 1 voxels are NaN or infinite"):
        write(volume_for(".nii", np.array([[[0, 1e300]]])), tmp_path / "a.nii")
    with pytest.raises(IntensityError, match=r"a\.nii: complex64 voxels"):
        write(volume_for(".nii", np.zeros((1, 1, 2), np.complex64)), tmp_path / "a.nii")
    assert names(tmp_path) == []


@pytest.mark.parametrize("suffix", KINDS)
def test_the_volume_written_is_not_changed(tmp_path: Path, suffix: str) -> None:
    values = VALUES.astype(np.float64)
    write(volume_for(suffix, values), tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(values, VALUES)


def test_a_file_does_not_replace_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.nii").mkdir()
    with pytest.raises(FileError, match=r"a\.nii: is a folder"):
        write(volume_for(".nii"), tmp_path / "a.nii", overwrite=True)


def test_a_scan_can_be_converted_onto_itself(tmp_path: Path) -> None:
    path = write(volume_for(".nii"), tmp_path / "a.nii")
    write(read(path), path, overwrite=True)
    np.testing.assert_array_equal(read(path).array(), VALUES)


def test_truncation_anywhere_is_an_error_of_ours(tmp_path: Path) -> None:
    for suffix in (".nii", ".nii.gz", ".mha", ".nrrd"):
        whole = write(volume_for(suffix), tmp_path / f"a{suffix}").read_bytes()
        for length in range(0, len(whole), 37):
            (tmp_path / f"cut{suffix}").write_bytes(whole[:length])
            with pytest.raises(CtLoupeError, match=rf"cut\{suffix}: "):
                read(tmp_path / f"cut{suffix}").array()


def test_importing_the_door_imports_no_format() -> None:
    heavy = ("SimpleITK", "nibabel", "pydicom", "tifffile", "zarr", "torch")
    code = f"import sys, ctloupe.volume.formats; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
