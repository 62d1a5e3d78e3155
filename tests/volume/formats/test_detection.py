"""A format is recognised by content; what is not readable is refused with what is."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset

from ctloupe.foundation.errors import CtLoupeError, FileError
from ctloupe.volume.formats import READABLE, detect, read, source_files, write
from ctloupe.volume.volume import Volume
from dicom_series import write_dicom_series

CT_SERIES = Path(__file__).resolve().parents[4] / "shared" / "data" / "chest-ct-lung-pet-ct-dx-A0001"
SCAN = Volume(np.random.default_rng(2).integers(-1000, 3000, (5, 6, 7)).astype(np.int16), (2.5, 0.7, 0.6), units="HU")


def dicom_file(path):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=["formats"])
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    FileDataset(str(path), {}, file_meta=meta, preamble=b"II*\0" + bytes(124)).save_as(path)
    return path


def test_big_tiff_and_both_byte_orders_are_tiff(tmp_path):
    for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        (tmp_path / "a").write_bytes(magic + bytes(200))
        assert detect(tmp_path / "a") == "tiff"


def test_dicom_is_recognised_in_files_and_folders_even_behind_a_tiff_preamble(tmp_path):
    file = dicom_file(tmp_path / "IM0001")
    assert detect(file) == "dicom"
    assert detect(tmp_path) == "dicom"
    (tmp_path / "deep" / "er").mkdir(parents=True)
    file.rename(tmp_path / "deep" / "er" / "IM0001")
    assert detect(tmp_path) == "dicom"


def test_slices_in_the_folder_itself_count_before_those_below_it(tmp_path):
    (tmp_path / "below").mkdir()
    dicom_file(tmp_path / "below" / "IM0001")
    write(SCAN, tmp_path / "stack.tif")
    assert detect(tmp_path) == "tiff"


def test_a_folder_of_tiff_slices_is_recognised(tmp_path):
    for z in (0, 2, 10):
        page = sitk.GetImageFromArray(np.full((3, 4), z, np.uint8))
        sitk.WriteImage(page, str(tmp_path / f"s{z}.tif"))
    assert detect(tmp_path) == "tiff"


def test_a_folder_of_both_or_of_neither_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(FileError, match="holds 1 files, none of them DICOM or TIFF; readable are"):
        detect(tmp_path)
    write(SCAN, tmp_path / "a.nii")
    with pytest.raises(FileError, match=r"without DICOM or TIFF files; name one file of it, as a\.nii"):
        read(tmp_path)
    dicom_file(tmp_path / "a.dcm")
    write(SCAN, tmp_path / "a.tif")
    with pytest.raises(FileError, match="DICOM and TIFF files together"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["none.nii", "none", "none.ome.zarr"])
def test_a_missing_path_is_named(tmp_path, name):
    with pytest.raises(FileError, match=f"{name}: no such file"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "a.nrrd", "a.tif", "a.dcm", "a.bin"])
@pytest.mark.parametrize(("content", "told"), [(b"", "the file is empty"), (b"garbage\n" * 99, "")])
def test_empty_files_and_garbage_are_refused_with_what_is_readable(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError) as caught:
        read(tmp_path / name)
    message = str(caught.value)
    assert f"{name}: {told}" in message
    assert all(suffix in message for suffix in READABLE)
    assert "\n" not in message


def test_a_compressed_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "notes.gz").write_bytes(gzip.compress(b"hello" * 100))
    with pytest.raises(FileError, match=r"notes\.gz: in no readable format"):
        read(tmp_path / "notes.gz")
    (tmp_path / "notes.nii.gz").write_bytes(gzip.compress(b"hello" * 200))
    with pytest.raises(FileError, match=r"notes\.nii\.gz: no NIfTI header"):
        read(tmp_path / "notes.nii.gz")


def test_truncation_anywhere_is_an_error_of_ours(tmp_path):
    for suffix in (".nii", ".nii.gz", ".mha", ".nrrd"):
        whole = write(SCAN, tmp_path / f"a{suffix}").read_bytes()
        for length in range(0, len(whole), 37):
            (tmp_path / f"cut{suffix}").write_bytes(whole[:length])
            with pytest.raises(CtLoupeError, match=rf"cut\{suffix}: "):
                read(tmp_path / f"cut{suffix}").array()


def test_only_what_refers_to_its_source_is_given_one_and_only_by_what_has_one(tmp_path):
    series = write_dicom_series(tmp_path / "series")
    nifti = write(SCAN, tmp_path / "scan.nii")
    assert sorted(source_files(series.folder, "out.dicom")) == sorted(series.files)
    assert source_files(series.folder, "out.nii.gz") == source_files(nifti, "out.dicom") == []


@pytest.mark.skipif(not CT_SERIES.is_dir(), reason="the real CT series is not beside the project")
def test_a_real_series_goes_through_every_format_unchanged(tmp_path):
    for file in sorted(CT_SERIES.glob("*.dcm"))[:3]:
        shutil.copy(file, tmp_path)
    scan = read(tmp_path)
    for suffix in (".nii", ".mha", ".nrrd", ".ome.zarr"):
        again = read(write(scan, tmp_path / "out" / f"a{suffix}"))
        np.testing.assert_array_equal(again.array(), scan.array())
        np.testing.assert_allclose(again.affine, scan.affine, rtol=1e-6, atol=1e-4)
        assert (again.modality, again.units) == ("clinical", "HU")
