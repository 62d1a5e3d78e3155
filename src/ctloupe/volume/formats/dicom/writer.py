"""A derived CT series: DICOM's way to say that pictures were computed from other pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds

from ctloupe.foundation.errors import FileError, IntensityError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.volume.volume import Volume

SERIES_NUMBER_OFFSET: Final = 9000
"""Added to the source's series number, so that the derived series stands behind the acquired ones."""

PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "OtherPatientIDs")
STUDY = (
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    *("StudyDescription", "PatientAge", "PatientSize", "PatientWeight", "PatientIdentityRemoved"),
    *("DeidentificationMethod", "DeidentificationMethodCodeSequence"),
)
IMAGE = (
    *("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition", "KVP", "ConvolutionKernel", "Laterality"),
    *("BodyPartExamined", "SpecificCharacterSet"),
)
_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator", "KVP", "AcquisitionNumber"),
)


def write_dicom(volume: Volume, folder: Path, source: Sequence[Path] = ()) -> None:
    """Write `volume` as a new CT series, one file a slice, to a new folder.

    Every image has a new UID, ImageType DERIVED\\SECONDARY, the derivation in words, and a reference to the source
    image at its place. Patient and study are those of the source; without a source they are empty, and nothing
    but them is taken from it that could name a person.

    Parameters
    ----------
    volume
        Volume of integers in HU that fit 16 bits. Slices are read and written one after the other.
    folder
        Folder to create.
    source
        Files of the DICOM series that the volume was made from, in any order.

    Raises
    ------
    IntensityError
        If the volume is not in HU, or does not hold integers.
    FileError
        If a source file cannot be read.
    """
    if volume.units != "HU" or np.dtype(volume.data.dtype).kind not in "iu":
        raise IntensityError(
            f"{folder}: a CT series holds whole HU; this volume has {volume.data.dtype} {volume.units}; name a map "
            "of an enhanced volume *.parametric-map.dicom"
        )
    folder.mkdir(parents=True)
    template, sources = _template(volume, source)
    depth = volume.shape[0]
    width = len(str(depth))
    for z in range(depth):
        image = FileDataset("", template, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
        _place(image, volume, z, sources)
        _fill(image, np.asarray(volume.data[z]), folder)
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.save_as(folder / f"slice-{z + 1:0{width}d}.dcm", enforce_file_format=True)


class _Source:
    """Where the source images lie, to find the one at a place."""

    def __init__(self, headers: Sequence[Dataset]) -> None:
        self.headers = headers
        self.positions = np.array([[float(value) for value in one.ImagePositionPatient] for one in headers])

    def at(self, point: NDArray[np.float64], normal: NDArray[np.float64]) -> Dataset:
        along = np.abs((self.positions - point) @ normal)
        return self.headers[int(np.argmin(along))]


def _template(volume: Volume, source: Sequence[Path]) -> tuple[Dataset, _Source | None]:
    """Return what all images of the series share, and the source images."""
    shared = Dataset()
    for keyword in _EMPTY:
        setattr(shared, keyword, "" if keyword not in ("KVP", "AcquisitionNumber") else None)
    headers = [source_header(path) for path in source]
    number = 0
    if headers:
        first = headers[0]
        for keyword in (*PATIENT, *STUDY, *IMAGE):
            if keyword in first:
                shared[keyword] = first[keyword]
        number = int(first.get("SeriesNumber") or 0)
    shared.SOPClassUID = CTImageStorage
    shared.Modality = "CT"
    shared.SeriesInstanceUID = generate_uid()
    shared.SeriesNumber = SERIES_NUMBER_OFFSET + number
    shared.SeriesDescription = "CT Loupe, research use only"
    shared.Manufacturer = "CT Loupe"
    shared.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    shared.DerivationDescription = volume.history[-1][:1024] if volume.history else RESEARCH_NOTICE
    shared.ImageComments = RESEARCH_NOTICE
    _say_as_sources(shared, headers)
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        if keyword not in shared:
            setattr(shared, keyword, generate_uid())
    for keyword in ("PatientPosition", "Laterality"):
        if keyword not in shared:
            setattr(shared, keyword, "")
    return shared, _Source(headers) if headers else None


def _say_as_sources(shared: Dataset, headers: Sequence[Dataset]) -> None:
    """State what was done to the pixels of the sources and cannot be undone; leave out what not all of them tell."""
    of_loss = ("LossyImageCompressionRatio", "LossyImageCompressionMethod")
    for keyword, grave, details in (("LossyImageCompression", "01", of_loss), ("BurnedInAnnotation", "YES", ())):
        told = [str(one.get(keyword) or "").upper() for one in headers]
        if grave in told:
            setattr(shared, keyword, grave)
            like = headers[told.index(grave)]
            for detail in details:
                if detail in like:
                    shared[detail] = like[detail]
        elif told and all(told):
            setattr(shared, keyword, told[0])


def source_header(path: Path) -> Dataset:
    """Read what a source file says of itself, without its pixels.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    try:
        return dcmread(path, stop_before_pixels=True)
    except Exception as error:
        raise FileError(f"{path}: unreadable as the source of a DICOM series ({error})") from error


def _place(image: Dataset, volume: Volume, z: int, sources: _Source | None) -> None:
    axes = np.asarray(volume.direction)
    point = volume.physical((z, 0.0, 0.0))
    image.SOPInstanceUID = generate_uid()
    image.InstanceNumber = z + 1
    image.ImagePositionPatient = _decimals(point)
    image.ImageOrientationPatient = _decimals([*axes[:, 0], *axes[:, 1]])
    image.PixelSpacing = _decimals(volume.spacing[1:])
    image.SliceThickness = _decimals([volume.spacing[0]])[0]
    image.SpacingBetweenSlices = _decimals([volume.spacing[0]])[0]
    if sources is not None:
        of = sources.at(point, np.cross(axes[:, 0], axes[:, 1]))
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = of.SOPClassUID, of.SOPInstanceUID
        image.SourceImageSequence = [reference]


def _fill(image: Dataset, plane: NDArray[Any], folder: Path) -> None:
    if plane.min() < -32768 or plane.max() > 32767:
        raise IntensityError(
            f"{folder}: values from {plane.min()} to {plane.max()} do not fit 16 bits; rescale them first"
        )
    image.Rows, image.Columns = plane.shape
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = 1
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = "0", "1", "HU"
    image.WindowCenter, image.WindowWidth = "-600", "1500"
    image.PixelData = plane.astype("<i2").tobytes()


def _decimals(values: Sequence[float] | NDArray[np.float64]) -> list[str]:
    """Write numbers as DICOM's decimal strings: sixteen characters, as many digits as fit."""
    return [format_number_as_ds(float(value) + 0.0) for value in values]
