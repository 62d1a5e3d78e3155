"""Maps on a scan as DICOM Parametric Maps: their values, place, meaning, and whom they name."""

import math
import sys

import numpy as np
import pytest
from pydicom import dcmread

from ctloupe.foundation.errors import IntensityError, MissingExtraError, OptionError
from ctloupe.volume.formats import read, write
from ctloupe.volume.formats.dicom import parametric_map
from ctloupe.volume.formats.dicom.parametric_map import require_map
from ctloupe.volume.formats.dicom.reader import source_series
from ctloupe.volume.geometry import refined_grid
from dicom_series import write_dicom_series

highdicom = pytest.importorskip("highdicom")
TURNED = np.array([[math.cos(0.3), -math.sin(0.3), 0], [math.sin(0.3), math.cos(0.3), 0], [0, 0, 1]])


@pytest.fixture
def series(tmp_path):
    def name_more(index, dataset):
        dataset.PatientAddress = "Secret Street 1"
        dataset.PatientComments = "secret"

    return write_dicom_series(tmp_path / "series", shape=(3, 6, 8), direction=TURNED, edit=name_more)


def map_on(series, units="HU", said="standard deviation of the errors"):
    """A map on the grid that is four times finer in-plane than the series."""
    scan = read(series.folder)
    spacing, origin = refined_grid(scan.spacing, scan.origin, scan.direction, 4)
    values = np.random.default_rng(0).random((3, 24, 32), dtype=np.float32) * 90
    return scan.with_data(values, said, spacing=spacing, origin=origin, units=units)


def written(series, tmp_path, **words):
    volume = map_on(series, **words)
    write(volume, tmp_path / "sigma.parametric-map.dicom", source=source_series(series.folder))
    return volume, sorted((tmp_path / "sigma.parametric-map.dicom").iterdir())


def places_along_z(image):
    return [
        float(one.PlanePositionSequence[0].ImagePositionPatient[2]) for one in image.PerFrameFunctionalGroupsSequence
    ]


def test_values_and_place_are_read_back_by_highdicom(series, tmp_path):
    volume, (path,) = written(series, tmp_path)
    assert path.name == "map-1.dcm"
    found = highdicom.imread(path).get_volume(apply_real_world_transform=True)
    # The library orders slices by a rule of its own: what a voxel holds is compared at its place.
    for index in ((0, 0, 0), (2, 23, 31), (1, 5, 7)):
        value = found.array[index]
        place = found.affine @ np.array([*index, 1.0])
        mine = np.linalg.inv(volume.affine) @ place
        z, y, x = np.rint(mine[:3][::-1]).astype(int)
        assert np.allclose(mine[:3][::-1], (z, y, x), atol=1e-3)
        assert value == pytest.approx(volume.data[z, y, x], rel=1e-6)


def test_its_grid_is_that_of_a_ct_series_as_simpleitk_reads_it(series, tmp_path):
    import SimpleITK as sitk

    volume, (path,) = written(series, tmp_path)
    write(volume.with_data(volume.data.astype(np.int16)), tmp_path / "same.dicom", source=source_series(series.folder))
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "same.dicom"))
    expected = sitk.ReadImage(files)
    image = dcmread(path)
    shared = image.SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0]
    places = [one.PlanePositionSequence[0].ImagePositionPatient for one in image.PerFrameFunctionalGroupsSequence]
    corners = [expected.TransformIndexToPhysicalPoint((0, 0, z)) for z in range(3)]
    assert np.allclose(sorted(np.array(places, float), key=lambda one: one[2]), corners, atol=1e-4)
    assert np.allclose(np.array(measures.PixelSpacing, float), expected.GetSpacing()[1::-1])
    assert float(measures.SpacingBetweenSlices) == pytest.approx(expected.GetSpacing()[2])
    axes = np.array(expected.GetDirection()).reshape(3, 3)
    turned = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    assert np.allclose(turned, [*axes[:, 0], *axes[:, 1]], atol=1e-5)


@pytest.mark.parametrize(
    ("units", "said", "unit", "code"),
    [
        ("HU", "standard deviation of 8 samples", "[hnsf'U]", "386136009"),
        ("raw", "share of the prior's standard deviation that the scan leaves open", "1", "left-open"),
        ("HU", "quantile 0.1 of 8 samples", "[hnsf'U]", "quantile"),
    ],
)
def test_it_says_what_its_numbers_are_and_of_what_they_were_made(series, tmp_path, units, said, unit, code):
    _, (path,) = written(series, tmp_path, units=units, said=said)
    image = dcmread(path)
    (mapping,) = image.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == unit
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == code
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    (referenced,) = image.ReferencedSeriesSequence
    headers = [dcmread(one) for one in series.files]
    assert referenced.SeriesInstanceUID == series.uid
    named = {one.ReferencedSOPInstanceUID for one in referenced.ReferencedInstanceSequence}
    assert named == {one.SOPInstanceUID for one in headers}
    assert image.StudyInstanceUID == headers[0].StudyInstanceUID
    assert image.FrameOfReferenceUID == headers[0].FrameOfReferenceUID
    assert "Not for diagnosis" in str(image.ImageComments)
    assert "FloatPixelData" in image


def test_patient_and_study_are_the_sources_and_nothing_else_that_names_a_person(series, tmp_path):
    _, (path,) = written(series, tmp_path)
    image = dcmread(path)
    assert image.PatientID == dcmread(series.files[0]).PatientID
    assert "PatientAddress" not in image
    assert "PatientComments" not in image


def test_reading_one_is_refused_with_what_to_give_instead(series, tmp_path):
    written(series, tmp_path)
    with pytest.raises(IntensityError, match="as of a Parametric Map, are not read; give the map as"):
        read(tmp_path / "sigma.parametric-map.dicom")


def test_a_large_map_lies_in_several_files_of_one_series(series, tmp_path, monkeypatch):
    monkeypatch.setattr(parametric_map, "LARGEST_FILE", 2 * 4 * 24 * 32)
    volume, paths = written(series, tmp_path)
    images = [dcmread(path) for path in paths]
    assert [one.NumberOfFrames for one in images] == [2, 1]
    assert len({one.SeriesInstanceUID for one in images}) == 1
    values = [np.frombuffer(one.FloatPixelData, "<f4").reshape(-1, 24, 32) for one in images]
    # The library may turn the order of the frames of a file.
    assert np.array_equal(values[0][np.argsort(places_along_z(images[0]))], volume.data[:2])
    assert np.array_equal(values[1], volume.data[2:])


def test_what_is_no_map_of_a_dicom_scan_is_refused_and_leaves_nothing(series, tmp_path, monkeypatch):
    out, source = tmp_path / "sigma.parametric-map.dicom", source_series(series.folder)
    volume = map_on(series)
    with pytest.raises(OptionError, match="this scan is no DICOM"):
        write(volume, out)
    with pytest.raises(IntensityError, match="holds floating-point values"):
        write(volume.with_data(volume.data.astype(np.int16)), out, source=source)
    with pytest.raises(IntensityError, match="NaN"):
        write(volume.with_data(np.full((3, 24, 32), np.nan, np.float32)), out, source=source)
    with pytest.raises(IntensityError, match="name a map of an enhanced volume"):
        write(volume, tmp_path / "sigma.dicom", source=source)
    write(read(series.folder), tmp_path / "scan.nii.gz")
    with pytest.raises(OptionError, match="this scan is no DICOM"):
        require_map(out, tmp_path / "scan.nii.gz")
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(MissingExtraError, match=r"'ctloupe\[parametric-map\]'"):
        require_map(out, series.folder)
    assert {one.name for one in tmp_path.iterdir()} == {"series", "scan.nii.gz"}
