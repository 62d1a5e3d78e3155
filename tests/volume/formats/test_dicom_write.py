"""A derived series lies where the volume lies, belongs to the source's study, and is sound DICOM."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ctloupe.foundation.errors import IntensityError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.volume.formats import read, write
from ctloupe.volume.formats.dicom.reader import read_dicom, source_series
from ctloupe.volume.volume import Volume
from dicom_series import write_dicom_series


def volume(shape=(4, 9, 7), **place):
    values = np.random.default_rng(0).integers(-1024, 3000, shape).astype(np.int16)
    place = {"spacing": (2.5, 0.7 / 8, 0.6 / 8), "origin": (-10.0, 20.0, 30.0)} | place
    return Volume(values, modality="clinical", units="HU", history=("made for a test",), **place)


def images(folder):
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(angles=st.tuples(*[st.floats(-3, 3)] * 3), origin=st.tuples(*[st.floats(-900, 900)] * 3))
def test_the_series_is_read_back_by_us_and_by_simpleitk_at_the_same_place(tmp_path_factory, angles, origin):
    folder = tmp_path_factory.mktemp("series") / "fine.dicom"
    made = volume(direction=Rotation.from_euler("xyz", angles).as_matrix(), origin=origin)
    write(made, folder)
    found = read(folder)
    assert np.array_equal(found.array(), made.data) and found.units == "HU"
    assert np.allclose(found.affine, made.affine, atol=1e-4)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in sorted(folder.iterdir())])
    image = reader.Execute()
    last = (made.shape[2] - 1, made.shape[1] - 1, made.shape[0] - 1)
    assert np.allclose(image.TransformIndexToPhysicalPoint(last), made.physical(last[::-1]), atol=1e-3)
    assert np.array_equal(sitk.GetArrayFromImage(image), made.data)


def test_patient_and_study_come_from_the_source_and_identities_are_new(tmp_path):
    def named(index, dataset):
        dataset.PatientName, dataset.PatientID = "Doe^Jane", "1234"
        dataset.StudyDescription, dataset.OperatorsName = "Chest", "Somebody^Else"

    source = write_dicom_series(tmp_path / "source", edit=named)
    scan = read_dicom(source.folder)
    folder = tmp_path / "fine.dicom"
    made = scan.with_data(scan.data.astype(np.int16), "enhanced for a test")
    write(made, folder, source=source_series(source.folder))
    before = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, source.files)}
    written = images(folder)
    for image in written:
        assert (image.PatientName, image.PatientID, image.StudyDescription) == ("Doe^Jane", "1234", "Chest")
        assert "OperatorsName" not in image
        first = next(iter(before.values()))
        assert image.StudyInstanceUID == first.StudyInstanceUID
        assert image.SeriesInstanceUID != first.SeriesInstanceUID and image.SOPInstanceUID not in before
        assert list(image.ImageType)[:2] == ["DERIVED", "SECONDARY"]
        assert image.DerivationDescription == "enhanced for a test" and RESEARCH_NOTICE in image.ImageComments
        of = before[image.SourceImageSequence[0].ReferencedSOPInstanceUID]
        assert np.allclose(
            [float(one) for one in of.ImagePositionPatient], [float(one) for one in image.ImagePositionPatient]
        )
        assert (float(image.RescaleSlope), float(image.RescaleIntercept), image.RescaleType) == (1, 0, "HU")
    assert len({image.SOPInstanceUID for image in written}) == len(written)
    assert len({image.SeriesInstanceUID for image in written}) == 1
    assert not [path for path in folder.iterdir() if "Doe" in path.name or "1234" in path.name]


def test_what_was_done_to_the_source_is_not_denied(tmp_path):
    def declared(index, dataset):
        if index == 3:
            dataset.LossyImageCompression, dataset.LossyImageCompressionRatio = "01", "10"
        dataset.BurnedInAnnotation = "YES" if index == 2 else "NO"

    for name, edit in (("told", declared), ("silent", None)):
        source = write_dicom_series(tmp_path / name, edit=edit)
        write(read_dicom(source.folder), tmp_path / f"{name}.dicom", source=source_series(source.folder))
    for image in images(tmp_path / "told.dicom"):
        assert (image.LossyImageCompression, image.LossyImageCompressionRatio) == ("01", 10)
        assert image.BurnedInAnnotation == "YES"
    for image in images(tmp_path / "silent.dicom"):
        assert "LossyImageCompression" not in image and "BurnedInAnnotation" not in image


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("with_source", [True, False])
def test_dciodvfy_finds_no_error(tmp_path, with_source):
    source = write_dicom_series(tmp_path / "source")
    folder = tmp_path / "fine.dicom"
    write(volume(), folder, source=source_series(source.folder) if with_source else ())
    for path in folder.iterdir():
        told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
        faults = [line for line in (told.stdout + told.stderr).splitlines() if line.startswith("Error")]
        assert not faults


def test_what_a_ct_series_cannot_hold_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(IntensityError, match="holds whole HU"):
        write(volume().with_data(np.zeros((2, 3, 4), np.float32)), tmp_path / "fine.dicom")
    with pytest.raises(IntensityError, match="do not fit 16 bits"):
        write(volume().with_data(np.full((2, 3, 4), 40000, np.int32)), tmp_path / "fine.dicom")
    assert not list(tmp_path.iterdir())
