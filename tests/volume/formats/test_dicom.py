"""A series is read as SimpleITK reads it where it is sound, and refused by name where it is not."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    MPEG2MPML,
    UID,
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLossless,
    JPEGLSLossless,
    RLELossless,
)

from ctloupe.foundation.errors import (
    CtLoupeError,
    FileError,
    GeometryError,
    IntensityError,
    MissingExtraError,
    OptionError,
)
from ctloupe.volume.formats import detect
from ctloupe.volume.formats.dicom.reader import read_dicom, source_series
from ctloupe.volume.formats.dicom.series import list_series

CHEST = Path(__file__).resolve().parents[4] / "shared" / "data" / "chest-ct-lung-pet-ct-dx-A0001"
Write = Callable[..., Any]


def rotation(x: float, y: float, z: float) -> NDArray[np.float64]:
    """Rotation matrix of three angles in degrees, applied in the order x, y, z."""
    cx, cy, cz = np.cos(np.radians([x, y, z]))
    sx, sy, sz = np.sin(np.radians([x, y, z]))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def by_simpleitk(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def resave(path: Path, change: Callable[[FileDataset], Any]) -> None:
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)


def move(path: Path, by: NDArray[np.float64]) -> None:
    def change(dataset: FileDataset) -> None:
        place = np.array(dataset.ImagePositionPatient, dtype=float) + by
        dataset.ImagePositionPatient = [f"{value:.9g}" for value in place]

    resave(path, change)


def refusal(path: Path, kind: type[CtLoupeError], series: str | int | None = None) -> str:
    with pytest.raises(kind) as caught:
        read_dicom(path, series)
    message = str(caught.value)
    assert "\n" not in message
    assert not re.search(r"secret|19010203|1\.2\.826", message, re.IGNORECASE)
    return message


def names(message: str, *files: Path) -> bool:
    return all(file.name in message for file in files)


@pytest.mark.parametrize("angles", [(0, 0, 0), (12, -25, 40), (180, 0, 0), (90, 0, 90)])
def test_geometry_and_voxels_equal_those_of_simpleitk(
    tmp_path: Path, dicom_series: Write, angles: tuple[float, float, float]
) -> None:
    truth = dicom_series(tmp_path, direction=rotation(*angles))
    volume, image = read_dicom(tmp_path), by_simpleitk(tmp_path)
    np.testing.assert_allclose(volume.spacing[::-1], image.GetSpacing(), atol=1e-6)
    np.testing.assert_allclose(volume.origin, image.GetOrigin(), atol=1e-6)
    np.testing.assert_allclose(np.ravel(volume.direction), image.GetDirection(), atol=1e-6)
    for index in [(0, 0, 0), (5, 7, 9), (2, 1, 6)]:
        point = image.TransformIndexToPhysicalPoint(index[::-1])
        np.testing.assert_allclose(volume.physical(index), point, atol=1e-5)
    np.testing.assert_array_equal(volume.array(), sitk.GetArrayFromImage(image))
    np.testing.assert_array_equal(volume.array(), truth.values)


def test_a_sound_ct_is_int16_in_hu_and_tells_nothing_of_the_patient(tmp_path: Path, dicom_series: Write) -> None:
    dicom_series(tmp_path)
    volume = read_dicom(tmp_path)
    assert volume.data.dtype == np.int16
    assert (volume.modality, volume.units) == ("clinical", "HU")
    assert volume.history == ("read 6 DICOM slices",)


def test_each_slice_is_scaled_by_its_own_slope(tmp_path: Path, dicom_series: Write) -> None:
    slopes, intercepts = np.linspace(0.5, 1.75, 6), np.linspace(-1024, -900.5, 6)
    truth = dicom_series(tmp_path, slopes=slopes, intercepts=intercepts)
    volume = read_dicom(tmp_path)
    assert volume.data.dtype == np.float32
    np.testing.assert_allclose(volume.array(), truth.values, atol=1e-3)
    np.testing.assert_allclose(volume.array(), sitk.GetArrayFromImage(by_simpleitk(tmp_path)), atol=1e-3)


def test_whole_slopes_that_differ_stay_exact_integers(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path, slopes=[1, 2, 3, 1, -2, 4], intercepts=[-1024, 0, -7, 12, 5, -1000])
    volume = read_dicom(tmp_path)
    assert volume.data.dtype == np.int16
    np.testing.assert_array_equal(volume.array(), truth.values)


@pytest.mark.parametrize(
    ("bits", "signed", "intercept", "dtype"),
    [
        (16, False, -32768, np.int16),
        (16, False, -1024, np.float32),
        (16, True, 0, np.int16),
        (16, True, -1024, np.float32),
        (12, True, 0, np.int16),
    ],
)
def test_values_become_float_only_where_int16_cannot_hold_them(
    tmp_path: Path, dicom_series: Write, bits: int, signed: bool, intercept: int, dtype: type
) -> None:
    truth = dicom_series(tmp_path, bits=bits, signed=signed, intercepts=intercept)
    volume = read_dicom(tmp_path)
    assert volume.data.dtype == dtype
    np.testing.assert_array_equal(volume.array(), truth.values)


@pytest.mark.parametrize(("allocated", "bits", "intercept"), [(8, 8, -1000), (32, 20, 0)])
def test_other_pixel_sizes_are_read(
    tmp_path: Path, dicom_series: Write, allocated: int, bits: int, intercept: int
) -> None:
    truth = dicom_series(tmp_path, allocated=allocated, bits=bits, intercepts=intercept)
    np.testing.assert_array_equal(read_dicom(tmp_path).array(), truth.values)


def test_bits_above_the_stored_ones_are_not_part_of_the_value(tmp_path: Path, dicom_series: Write) -> None:
    def overlay(index: int, dataset: FileDataset) -> None:
        dataset.PixelData = (np.frombuffer(dataset.PixelData, "<u2") | 0x5000).astype("<u2").tobytes()

    truth = dicom_series(tmp_path, edit=overlay)
    np.testing.assert_array_equal(read_dicom(tmp_path).array(), truth.values)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(by_simpleitk(tmp_path)), truth.values)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_uncompressed_transfer_syntax_is_read(tmp_path: Path, dicom_series: Write, syntax: UID) -> None:
    truth = dicom_series(tmp_path, syntax=syntax)
    np.testing.assert_array_equal(read_dicom(tmp_path).array(), truth.values)


def test_rle_compressed_slices_are_read(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    for file in truth.files:
        resave(file, lambda dataset: dataset.compress(RLELossless))
    np.testing.assert_array_equal(read_dicom(tmp_path).array(), truth.values)


def test_reading_leaves_the_files_as_they_were(tmp_path: Path, dicom_series: Write) -> None:
    files = dicom_series(tmp_path).files
    before = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    read_dicom(tmp_path)
    assert [hashlib.sha256(file.read_bytes()).hexdigest() for file in files] == before
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_source_files_come_in_slice_order_not_in_name_order(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    assert source_series(tmp_path) == truth.files
    assert sorted(truth.files) != truth.files


@pytest.mark.parametrize("modality", ["OT", ""])
def test_what_states_no_modality_of_patients_is_raw_and_says_so(
    tmp_path: Path, dicom_series: Write, modality: str
) -> None:
    dicom_series(tmp_path, modality=modality)
    volume = read_dicom(tmp_path)
    assert (volume.modality, volume.units) == ("unknown", "raw")
    assert volume.notes == (f"Modality is {modality or 'missing'}, not CT, so the units are unknown",)


@pytest.mark.parametrize("modality", ["MR", "PT"])
def test_another_modality_is_no_ct(tmp_path: Path, dicom_series: Write, modality: str) -> None:
    truth = dicom_series(tmp_path, modality=modality)
    message = refusal(tmp_path, IntensityError)
    assert names(message, truth.files[-1]) and f"Modality {modality}, expected CT" in message


def test_a_scout_is_no_slice(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    resave(truth.files[2], lambda dataset: setattr(dataset, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    message = refusal(tmp_path, IntensityError)
    assert names(message, truth.files[2]) and "LOCALIZER" in message


def test_lost_values_and_burned_in_text_are_noted(tmp_path: Path, dicom_series: Write) -> None:
    def declared(_: int, dataset: FileDataset) -> None:
        dataset.LossyImageCompression, dataset.BurnedInAnnotation = "01", "YES"

    dicom_series(tmp_path, edit=declared)
    lossy, burned_in = read_dicom(tmp_path).notes
    assert lossy.startswith("LossyImageCompression is 01") and burned_in.startswith("BurnedInAnnotation is YES")


@pytest.mark.parametrize(("slope", "intercept"), [(1e300, 0), (1e-300, 0), (1e12, 0), (1, 1e30)])
def test_a_scale_that_erases_or_bursts_the_image_is_refused(
    tmp_path: Path, dicom_series: Write, slope: float, intercept: float
) -> None:
    truth = dicom_series(tmp_path)

    def scaled(dataset: FileDataset) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{slope:g}", f"{intercept:g}"

    resave(truth.files[1], scaled)
    message = refusal(tmp_path, IntensityError)
    assert names(message, truth.files[1]) and f"RescaleSlope {slope:g}" in message


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_more_pixels_than_rows_and_columns_are_refused(tmp_path: Path, dicom_series: Write, syntax: UID) -> None:
    def narrowed(_: int, dataset: FileDataset) -> None:
        dataset.Columns -= 1

    truth = dicom_series(tmp_path, syntax=syntax, edit=narrowed)
    message = refusal(tmp_path, FileError)
    assert names(message, truth.files[0 if "cannot be decoded" in message else -1])


def test_a_second_image_behind_the_pixels_is_refused_and_padding_is_not(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    whole = truth.files[1].read_bytes()
    padding = b"\xfc\xff\xfc\xffOB\0\0\x04\0\0\0\0\0\0\0"
    for behind in (padding, b"\0" * 16):
        truth.files[1].write_bytes(whole + behind)
        np.testing.assert_array_equal(read_dicom(tmp_path).array(), truth.values)
    truth.files[1].write_bytes(whole + whole[whole.rindex(b"\xe0\x7f\x10\0") :])
    message = refusal(tmp_path, FileError)
    assert names(message, truth.files[1]) and "perhaps of a second image" in message


@pytest.mark.parametrize(("stated", "lost"), [(1.25, 1), (-1.25, 1), (0.834, 2)])
def test_slices_lost_evenly_are_noticed_by_their_stated_distance(
    tmp_path: Path, dicom_series: Write, stated: float, lost: int
) -> None:
    dicom_series(tmp_path, edit=lambda _, dataset: setattr(dataset, "SpacingBetweenSlices", stated))
    assert f"missing slices, {lost} between every two" in refusal(tmp_path, GeometryError)


def test_a_stated_distance_that_differs_otherwise_is_noted(tmp_path: Path, dicom_series: Write) -> None:
    dicom_series(tmp_path, edit=lambda _, dataset: setattr(dataset, "SpacingBetweenSlices", 3))
    volume = read_dicom(tmp_path)
    assert volume.spacing[0] == 2.5
    assert volume.notes == ("SpacingBetweenSlices is 3 mm, the positions lie 2.5 mm apart and are taken",)


@pytest.mark.parametrize("compressed", [False, True])
def test_frames_that_a_file_cannot_hold_are_not_gone_through(
    tmp_path: Path, dicom_series: Write, compressed: bool
) -> None:
    truth = dicom_series(tmp_path)
    if compressed:
        resave(truth.files[1], lambda dataset: dataset.compress(RLELossless))
    resave(truth.files[1], lambda dataset: setattr(dataset, "NumberOfFrames", 2_000_000_000))
    assert "truncated" in refusal(truth.files[1], FileError)


def test_a_matrix_that_a_compressed_file_cannot_hold_is_refused(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)

    def vast(dataset: FileDataset) -> None:
        dataset.compress(RLELossless)
        dataset.Rows = dataset.Columns = 65535

    resave(truth.files[1], vast)
    message = refusal(truth.files[1], FileError)
    assert names(message, truth.files[1]) and "65535×65535 pixels in a file of" in message


def test_a_deflated_file_is_not_inflated_beyond_its_header(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path, syntax=DeflatedExplicitVRLittleEndian)
    resave(truth.files[1], lambda dataset: dataset.add_new(0x7FE10011, "OB", bytes(40_000_000)))
    message = refusal(tmp_path, FileError)
    assert names(message, truth.files[1]) and "inflates to more than" in message


@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLSLossless])
def test_compressed_pixels_of_32_bits_do_not_reach_a_decoder(tmp_path: Path, dicom_series: Write, syntax: UID) -> None:
    truth = dicom_series(tmp_path)
    mislabel(truth.files[1], syntax)
    resave(truth.files[1], lambda dataset: setattr(dataset, "BitsAllocated", 32))
    message = refusal(tmp_path, IntensityError)
    assert names(message, truth.files[1]) and "BitsAllocated 32" in message


def test_a_spectral_map_is_not_taken_for_hu(tmp_path: Path, dicom_series: Write) -> None:
    dicom_series(tmp_path, edit=lambda _, dataset: setattr(dataset, "RescaleType", "Z_EFF"))
    assert read_dicom(tmp_path).units == "raw"


def test_ct_without_rescale_tags_is_taken_as_stored_and_says_so(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path, slopes=None, intercepts=None, signed=True)
    volume = read_dicom(tmp_path)
    np.testing.assert_array_equal(volume.array(), truth.stored)
    assert volume.units == "raw"
    assert "slope 1, intercept 0" in volume.notes[-1]
    assert volume.notes[-1] == volume.history[-1]


def test_half_a_rescale_is_refused(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    resave(truth.files[2], lambda dataset: dataset.__delattr__("RescaleSlope"))
    message = refusal(tmp_path, IntensityError)
    assert names(message, truth.files[2]) and "RescaleSlope" in message and "1 of 6" in message


def test_rescale_tags_in_some_slices_only_are_refused(tmp_path: Path, dicom_series: Write) -> None:
    def strip(dataset: FileDataset) -> None:
        del dataset.RescaleSlope, dataset.RescaleIntercept

    truth = dicom_series(tmp_path)
    resave(truth.files[4], strip)
    assert names(refusal(tmp_path, IntensityError), truth.files[4])


def test_several_series_are_listed_and_chosen_by_index_or_uid(tmp_path: Path, dicom_series: Write) -> None:
    late = dicom_series(tmp_path, prefix="late", number=7, shape=(4, 6, 5), spacing=(1.25, 0.5, 0.5))
    early = dicom_series(tmp_path, prefix="early", number=2)
    found = list_series(tmp_path)
    assert [(one.key, one.number, one.n_files) for one in found] == [("1", 2, 6), ("2", 7, 4)]
    assert [one.shape for one in found] == [(6, 8, 10), (4, 6, 5)]
    np.testing.assert_allclose([one.spacing or () for one in found], [early.spacing, late.spacing])
    assert found[1].modality == "CT" and found[1].files == tuple(sorted(late.files))
    message = refusal(tmp_path, OptionError)
    assert "`series` N" in message
    assert "1 (SeriesNumber 2): CT, 6 slices of 8×10, spacing 2.5×0.7×0.6 mm" in message
    assert "2 (SeriesNumber 7): CT, 4 slices of 6×5, spacing 1.25×0.5×0.5 mm" in message
    for choice in (2, "2", 7, late.uid):
        np.testing.assert_array_equal(read_dicom(tmp_path, choice).array(), late.values)
    np.testing.assert_array_equal(read_dicom(tmp_path, 1).array(), early.values)


def test_a_series_that_is_not_there_is_refused(tmp_path: Path, dicom_series: Write) -> None:
    dicom_series(tmp_path)
    assert "`series` 8" in refusal(tmp_path, OptionError, 8)
    assert "CT, 6 slices" in refusal(tmp_path, OptionError, "1.2.826.0.1.999")


def test_the_list_of_series_tells_what_each_is_called_and_its_kernel(tmp_path: Path, dicom_series: Write) -> None:
    def named(_: int, dataset: FileDataset) -> None:
        dataset.SeriesDescription, dataset.ConvolutionKernel = "Thorax 1.0 lung", ["Br59d", "3"]

    dicom_series(tmp_path, prefix="late", number=7, edit=named)
    dicom_series(tmp_path, prefix="early", number=2)
    message = refusal(tmp_path, OptionError)
    assert (
        "2 (SeriesNumber 7): CT, 'Thorax 1.0 lung', 6 slices of 8×10, spacing 2.5×0.7×0.6 mm, kernel Br59d 3" in message
    )


def test_a_number_that_is_a_place_and_the_number_of_another_series_is_the_place_and_that_is_noted(
    tmp_path: Path, dicom_series: Write
) -> None:
    late = dicom_series(tmp_path, prefix="late", number=3)
    dicom_series(tmp_path, prefix="early", number=2)
    chosen = read_dicom(tmp_path, 2)
    np.testing.assert_array_equal(chosen.array(), late.values)
    assert "not the one whose SeriesNumber is 2" in chosen.notes[0]
    assert not read_dicom(tmp_path, 3).notes


def test_a_number_that_two_series_have_is_refused(tmp_path: Path, dicom_series: Write) -> None:
    for prefix in ("one", "other"):
        dicom_series(tmp_path, prefix=prefix, number=9)
    assert "2 series have this SeriesNumber" in refusal(tmp_path, OptionError, 9)


def test_a_fault_in_one_series_does_not_block_another(tmp_path: Path, dicom_series: Write) -> None:
    good = dicom_series(tmp_path, prefix="good", number=1)
    bad = dicom_series(tmp_path, prefix="bad", number=2)
    bad.files[2].unlink()
    np.testing.assert_array_equal(read_dicom(tmp_path, 1).array(), good.values)
    assert "missing" in refusal(tmp_path, GeometryError, 2)


def test_one_file_is_a_volume_of_one_slice(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    volume = read_dicom(truth.files[3])
    assert volume.shape == (1, 8, 10) and volume.spacing == (2.5, 0.7, 0.6)
    np.testing.assert_allclose(volume.origin, (-10, 20, 37.5))
    np.testing.assert_array_equal(volume.array()[0], truth.values[3])


def test_a_single_slice_is_as_thick_as_it_says_and_that_is_noted(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    for file in truth.files[1:]:
        file.unlink()
    volume = read_dicom(tmp_path)
    assert volume.shape[0] == 1 and volume.notes == (
        f"a single slice, whose thickness of {volume.spacing[0]:.4g} mm is taken for the distance of slices",
    )


def test_a_single_slice_without_thickness_is_refused(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path, shape=(1, 8, 10), edit=lambda _, dataset: dataset.__delattr__("SliceThickness"))
    message = refusal(tmp_path, GeometryError)
    assert names(message, *truth.files) and "SliceThickness" in message
    resave(truth.files[0], lambda dataset: setattr(dataset, "SpacingBetweenSlices", 3))
    assert read_dicom(tmp_path).spacing[0] == 3


def test_subfolders_count_only_where_the_folder_holds_no_dicom(tmp_path: Path, dicom_series: Write) -> None:
    below = dicom_series(tmp_path / "disc" / "study" / "series")
    (tmp_path / "disc" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    np.testing.assert_array_equal(read_dicom(tmp_path / "disc").array(), below.values)
    top = dicom_series(tmp_path / "disc", seed=1)
    np.testing.assert_array_equal(read_dicom(tmp_path / "disc").array(), top.values)


def test_files_without_an_image_are_left_out(tmp_path: Path, dicom_series: Write) -> None:
    def strip(dataset: FileDataset) -> None:
        for keyword in ("PixelData", "Rows", "Columns"):
            del dataset[keyword]
        dataset.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
        dataset.Modality, dataset.SeriesInstanceUID = "SR", "1.2.3"

    truth = dicom_series(tmp_path)
    report = tmp_path / "report.dcm"
    shutil.copy(truth.files[0], report)
    resave(report, strip)
    (tmp_path / "notes.txt").write_text("not a scan")
    (tmp_path / "._slice-01.dcm").write_bytes(b"left by a Mac")
    np.testing.assert_array_equal(read_dicom(tmp_path).array(), truth.values)
    for file in truth.files:
        file.unlink()
    message = refusal(tmp_path, FileError)
    assert names(message, report) and "no image" in message


@pytest.mark.parametrize("end", [0, 3])
@pytest.mark.parametrize("kind", ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.47.1.1.2", "1.2.65536.1", ""])
def test_a_slice_whose_image_cannot_be_found_is_not_left_out(
    tmp_path: Path, dicom_series: Write, kind: str, end: int
) -> None:
    files = dicom_series(tmp_path / "scan", shape=(4, 8, 10)).files
    dataset = pydicom.dcmread(files[end])
    del dataset.Rows
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = kind
    dataset.save_as(files[end])
    message = refusal(tmp_path / "scan", FileError)
    assert names(message, files[end]) and "damaged" in message


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_a_slice_that_is_no_file_is_not_left_out(
    tmp_path: Path, dicom_series: Write, make: Callable[[Path], None]
) -> None:
    files = dicom_series(tmp_path / "scan", shape=(4, 8, 10)).files
    files[0].unlink()
    make(files[0])
    assert names(refusal(tmp_path / "scan", FileError), files[0])


def test_what_is_left_out_is_noted(tmp_path: Path, dicom_series: Write) -> None:
    files = dicom_series(tmp_path / "scan", shape=(4, 8, 10)).files
    report = pydicom.dcmread(files[0])
    for keyword in ("Rows", "Columns", "PixelData"):
        del report[keyword]
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID = BasicTextSRStorage
    report.save_as(tmp_path / "scan" / "report.dcm")
    (note,) = read_dicom(tmp_path / "scan").notes
    assert note == "1 DICOM file without an image is left out: report.dcm"


def test_dicom_is_recognised_by_content(tmp_path: Path, dicom_series: Write) -> None:
    files = dicom_series(tmp_path / "series").files
    bare = files[0].rename(tmp_path / "IM0001")
    fake = tmp_path / "fake.dcm"
    fake.write_bytes(b"not DICOM")
    assert detect(bare) == detect(tmp_path / "series") == "dicom"
    with pytest.raises(FileError, match=r"fake\.dcm: named as dicom, but damaged"):
        detect(fake)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="none of them DICOM"):
        detect(tmp_path / "empty")


def test_absent_and_empty_folders_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "absent", FileError)
    assert "no DICOM file" in refusal(tmp_path, FileError)


def test_a_missing_slice_is_named_by_its_neighbours(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path, shape=(12, 4, 4), direction=rotation(10, 20, 30))
    for index in (3, 7, 8):
        truth.files[index].unlink()
    message = refusal(tmp_path, GeometryError)
    assert f"1 missing between {truth.files[2].name} and {truth.files[4].name}" in message
    assert f"2 missing between {truth.files[6].name} and {truth.files[9].name}" in message
    assert "2.5 mm" in message


def test_a_missing_slice_is_noticed_among_three(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path, shape=(4, 4, 4))
    truth.files[1].unlink()
    message = refusal(tmp_path, GeometryError)
    assert f"1 missing between {truth.files[0].name} and {truth.files[2].name}" in message


def test_a_duplicate_slice_position_is_named(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    copy = tmp_path / "copy.dcm"
    shutil.copy(truth.files[3], copy)
    message = refusal(tmp_path, GeometryError)
    assert names(message, truth.files[3], copy) and "duplicate" in message
    assert not names(message, truth.files[2])


def test_two_phases_in_one_series_are_duplicates(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    for file in truth.files:
        shutil.copy(file, tmp_path / f"phase2-{file.name}")
    message = refusal(tmp_path, GeometryError)
    assert "duplicate" in message and "and 3 more" in message


def test_uneven_spacing_is_named(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    for file in truth.files[4:]:
        move(file, np.array([0, 0, 0.8]))
    message = refusal(tmp_path, GeometryError)
    assert names(message, *truth.files[3:5]) and "uneven slice spacing, 3.3 mm where 2.5 mm" in message


def test_spacing_that_drifts_away_is_refused(tmp_path: Path, dicom_series: Write) -> None:
    """Each distance is within 5 % of the median, but together they stray by half a slice."""
    truth = dicom_series(tmp_path, shape=(40, 2, 2), spacing=(1.0, 0.7, 0.7))
    for index, file in enumerate(truth.files[20:], 1):
        move(file, np.array([0, 0, 0.04 * index]))
    assert "uneven" in refusal(tmp_path, GeometryError)


def test_positions_rounded_to_hundredths_are_accepted(tmp_path: Path, dicom_series: Write) -> None:
    def rounded(index: int, dataset: FileDataset) -> None:
        dataset.ImagePositionPatient = [0, 0, f"{0.625 * index:.2f}"]

    dicom_series(tmp_path, shape=(41, 2, 2), spacing=(0.625, 0.7, 0.7), edit=rounded)
    assert read_dicom(tmp_path).spacing[0] == pytest.approx(0.625, abs=1e-9)


def test_mixed_orientation_is_named(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    turn = rotation(0, 0, 1)
    resave(truth.files[2], lambda ds: setattr(ds, "ImageOrientationPatient", [*turn[:, 0], *turn[:, 1]]))
    message = refusal(tmp_path, GeometryError)
    assert names(message, truth.files[2]) and "mixed orientation" in message
    assert not names(message, truth.files[1])


@pytest.mark.parametrize("tilt", [-12.0, 2.0])
def test_gantry_tilt_is_refused_with_its_angle(tmp_path: Path, dicom_series: Write, tilt: float) -> None:
    slant = rotation(tilt, 0, 0)

    def tilted(index: int, dataset: FileDataset) -> None:
        dataset.ImagePositionPatient = [0, 0, 2.5 * index]
        dataset.ImageOrientationPatient = [f"{value:.9g}" for value in (*slant[:, 0], *slant[:, 1])]

    truth = dicom_series(tmp_path, edit=tilted)
    message = refusal(tmp_path, GeometryError)
    assert names(message, truth.files[0], truth.files[-1])
    assert "gantry tilt" in message and f"{abs(tilt)}°" in message


@pytest.mark.parametrize("index", [0, 2, 5])
def test_a_slice_displaced_sideways_is_named(tmp_path: Path, dicom_series: Write, index: int) -> None:
    truth = dicom_series(tmp_path)
    move(truth.files[index], np.array([4.0, 0, 0]))
    message = refusal(tmp_path, GeometryError)
    assert names(message, truth.files[index]) and "displaced" in message and "1 of 6" in message


def test_mixed_matrix_size_is_named(tmp_path: Path, dicom_series: Write) -> None:
    def crop(dataset: FileDataset) -> None:
        dataset.Rows, dataset.PixelData = 4, dataset.PixelData[: 4 * 10 * 2]

    truth = dicom_series(tmp_path)
    resave(truth.files[1], crop)
    message = refusal(tmp_path, GeometryError)
    assert names(message, truth.files[1]) and "matrix size" in message and "4×10" in message


def test_mixed_pixel_spacing_is_named(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    resave(truth.files[1], lambda dataset: setattr(dataset, "PixelSpacing", [0.7, 0.65]))
    message = refusal(tmp_path, GeometryError)
    assert names(message, truth.files[1]) and "pixel spacing" in message and "0.7×0.65 mm" in message


@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"])
def test_a_missing_place_tag_is_named(tmp_path: Path, dicom_series: Write, keyword: str) -> None:
    truth = dicom_series(tmp_path)
    for file in truth.files[:5]:
        resave(file, lambda dataset: dataset.__delattr__(keyword))
    message = refusal(tmp_path, GeometryError)
    assert keyword in message and "5 of 6" in message and "and 2 more" in message
    assert not names(message, truth.files[5])


def test_an_unreadable_place_tag_is_named(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path, edit=lambda _, dataset: setattr(dataset, "PixelSpacing", [0, 0.7]))
    message = refusal(tmp_path, GeometryError)
    assert "PixelSpacing" in message and names(message, truth.files[-1])


def test_skewed_direction_cosines_are_refused(tmp_path: Path, dicom_series: Write) -> None:
    dicom_series(tmp_path, edit=lambda _, dataset: setattr(dataset, "ImageOrientationPatient", [1, 0, 0, 0.1, 1, 0]))
    assert "perpendicular" in refusal(tmp_path, GeometryError)


def test_colour_is_refused(tmp_path: Path, dicom_series: Write) -> None:
    def colour(dataset: FileDataset) -> None:
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
        dataset.PixelData = dataset.PixelData * 3

    truth = dicom_series(tmp_path, allocated=8, bits=8)
    resave(truth.files[1], colour)
    message = refusal(tmp_path, IntensityError)
    assert names(message, truth.files[1]) and "colour" in message and "RGB" in message


def test_inverted_grey_is_refused(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    resave(truth.files[1], lambda dataset: setattr(dataset, "PhotometricInterpretation", "MONOCHROME1"))
    message = refusal(tmp_path, IntensityError)
    assert names(message, truth.files[1]) and "MONOCHROME1" in message and "inverted" in message


def test_an_unusual_bit_layout_is_refused(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    resave(truth.files[1], lambda dataset: setattr(dataset, "HighBit", 15))
    assert names(refusal(tmp_path, IntensityError), truth.files[1])


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_file_one_byte_short_is_truncated(tmp_path: Path, dicom_series: Write, syntax: UID) -> None:
    truth = dicom_series(tmp_path, syntax=syntax)
    truth.files[5].write_bytes(truth.files[5].read_bytes()[:-1])
    message = refusal(tmp_path, FileError)
    assert names(message, truth.files[5]) and "truncated" in message
    with pytest.raises(FileError, match="truncated"):
        source_series(tmp_path)


@pytest.mark.parametrize("kind", ["uncompressed", "RLE", "deflated"])
def test_a_cut_anywhere_is_refused(tmp_path: Path, dicom_series: Write, kind: str) -> None:
    """The outermost slice is cut, so that losing it would leave an even series."""
    syntax = {"deflated": DeflatedExplicitVRLittleEndian}.get(kind, ImplicitVRLittleEndian)
    truth = dicom_series(tmp_path, syntax=syntax)
    victim = truth.files[-1]
    if kind == "RLE":
        resave(victim, lambda dataset: dataset.compress(RLELossless))
    whole = victim.read_bytes()
    read_dicom(tmp_path)
    # An encapsulated file ends in a mark of 8 bytes that some writers omit, a deflated one in a byte of padding.
    end = len(whole) - {"RLE": 8, "deflated": 1}.get(kind, 0)
    for length in {0, 50, 131, 132, *range(140, end, 23), end - 1}:
        victim.write_bytes(whole[:length])
        message = refusal(tmp_path, FileError)
        assert names(message, victim), (length, message)


def test_an_unknown_compression_is_refused(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    mislabel(truth.files[1], MPEG2MPML)
    message = refusal(tmp_path, FileError)
    assert names(message, truth.files[1]) and "MPEG2" in message


def mislabel(path: Path, syntax: UID) -> None:
    def change(dataset: FileDataset) -> None:
        dataset.compress(RLELossless)
        dataset.file_meta.TransferSyntaxUID = syntax

    resave(path, change)


def test_damaged_compressed_pixels_are_refused(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path)
    mislabel(truth.files[1], JPEGLSLossless)
    assert names(refusal(tmp_path, FileError), truth.files[1])


def test_an_absent_decoder_names_the_extra_to_install(tmp_path: Path, dicom_series: Write) -> None:
    """In a fresh interpreter in which no JPEG-LS library can be imported."""
    truth = dicom_series(tmp_path)
    mislabel(truth.files[1], JPEGLSLossless)
    script = (
        "import sys; sys.modules.update(dict.fromkeys(['gdcm', 'pylibjpeg', 'jpeg_ls']))\n"
        "from pathlib import Path\n"
        "from ctloupe.volume.formats.dicom.reader import read_dicom\n"
        f"from ctloupe.foundation.errors import {MissingExtraError.__name__}\n"
        "try:\n    read_dicom(Path(sys.argv[1]))\n"
        f"except {MissingExtraError.__name__} as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert names(run.stdout, truth.files[1])
    assert "JPEG-LS" in run.stdout and "pip install 'ctloupe[dicom]'" in run.stdout


def enhanced(path: Path, truth: Any, order: list[int], *, placed: bool = True) -> None:
    """One multi-frame file of the slices of `truth`, stored in `order`."""
    dataset = pydicom.dcmread(truth.files[0])
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    slices = [pydicom.dcmread(truth.files[index]) for index in order]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        del dataset[keyword]
    del dataset.RescaleSlope, dataset.RescaleIntercept
    dataset.NumberOfFrames = len(order)
    dataset.PixelData = b"".join(one.PixelData for one in slices)
    if placed:
        orientation, measures, shared = Dataset(), Dataset(), Dataset()
        orientation.ImageOrientationPatient = slices[0].ImageOrientationPatient
        measures.PixelSpacing, measures.SliceThickness = slices[0].PixelSpacing, slices[0].SliceThickness
        shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
        dataset.SharedFunctionalGroupsSequence = [shared]
        dataset.PerFrameFunctionalGroupsSequence = [frame_groups(one) for one in slices]
    dataset.save_as(path, enforce_file_format=True)


def frame_groups(one: FileDataset) -> Dataset:
    position, transform, groups = Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = one.ImagePositionPatient
    transform.RescaleSlope, transform.RescaleIntercept = one.RescaleSlope, one.RescaleIntercept
    transform.RescaleType = "HU"
    groups.PlanePositionSequence, groups.PixelValueTransformationSequence = [position], [transform]
    return groups


@pytest.mark.parametrize("compressed", [False, True])
def test_enhanced_ct_frames_are_placed_and_scaled_one_by_one(
    tmp_path: Path, dicom_series: Write, compressed: bool
) -> None:
    truth = dicom_series(tmp_path / "classic", direction=rotation(5, 10, 15), slopes=[1, 2, 1, 3, 1, 2])
    path = tmp_path / "enhanced.dcm"
    enhanced(path, truth, [3, 0, 5, 1, 4, 2])
    if compressed:
        resave(path, lambda dataset: dataset.compress(RLELossless))
    volume, classic = read_dicom(path), read_dicom(tmp_path / "classic")
    np.testing.assert_array_equal(volume.array(), truth.values)
    np.testing.assert_allclose(volume.affine, classic.affine)
    assert volume.units == "HU" and source_series(path) == [path]


def test_a_frame_missing_from_enhanced_ct_is_named(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path / "classic")
    path = tmp_path / "enhanced.dcm"
    enhanced(path, truth, [0, 1, 3, 4, 5])
    message = refusal(path, GeometryError)
    assert "1 missing between enhanced.dcm frame 2 and enhanced.dcm frame 3" in message


def test_multi_frame_without_positions_is_refused(tmp_path: Path, dicom_series: Write) -> None:
    truth = dicom_series(tmp_path / "classic")
    path = tmp_path / "multi.dcm"
    enhanced(path, truth, [0, 1, 2, 3], placed=False)
    message = refusal(path, GeometryError)
    assert names(message, path) and "multi-frame" in message


@pytest.mark.skipif(not CHEST.is_dir(), reason=f"real chest CT absent: {CHEST.name}")
def test_the_real_chest_ct_equals_simpleitk_and_a_missing_slice_of_it_is_named(tmp_path: Path) -> None:
    volume, image = read_dicom(CHEST), by_simpleitk(CHEST)
    assert volume.shape == (64, 512, 512)
    np.testing.assert_allclose(volume.spacing, (5.0, 0.842, 0.842), atol=5e-4)
    np.testing.assert_allclose(volume.origin, image.GetOrigin(), atol=1e-6)
    np.testing.assert_array_equal(volume.array(), sitk.GetArrayViewFromImage(image))
    assert (int(volume.data.min()), int(volume.data.max())) == (-1024, 2976)
    files = source_series(CHEST)
    for file in files[:10]:
        if file != files[4]:
            (tmp_path / file.name).symlink_to(file)
    message = refusal(tmp_path, GeometryError)
    assert f"1 missing between {files[3].name} and {files[5].name}" in message
