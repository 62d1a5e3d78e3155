"""A DICOM Parametric Map: numbers that lie on a scan, in floating point, with what they are numbers of."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from ctloupe.foundation.errors import IntensityError, MissingExtraError, OptionError
from ctloupe.foundation.location import Location
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.volume.formats.detection import format_of
from ctloupe.volume.formats.dicom.writer import IMAGE, PATIENT, STUDY, source_header
from ctloupe.volume.volume import Volume, require_finite

PARAMETRIC_MAP: Final = ".parametric-map.dicom"
"""End of the name of a folder that holds a map instead of a CT series."""

SERIES_NUMBER_OFFSET: Final = 9500
"""Added to the source's series number, so that maps stand behind the derived series."""

LARGEST_FILE: Final = 500_000_000
"""Bytes of voxels in one file; an element of DICOM ends at 4 GB, and a file is made in memory."""

_NO_SOURCE: Final = (
    "a Parametric Map refers to the DICOM series that it was made of, and this scan is no DICOM; name it *.nii.gz"
)

_OWN: Final = "99CTLOUPE"
"""Scheme of codes of our own, for what DICOM has no code for."""

_NEEDED: Final = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "PositionReferenceIndicator"),
)
"""What the library asks of every source image, and what is empty where a source does not tell it."""

_PLACE: Final = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "Rows", "Columns", "NumberOfFrames"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "ImageType"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "LossyImageCompression"),
    *("LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
"""What is told of a source image itself."""

_CODES: Final[dict[str, tuple[str, str, str]]] = {
    "standard deviation": ("386136009", "SCT", "Standard Deviation"),
    "share of the prior": ("left-open", _OWN, "Share of the prior's spread that the scan leaves open"),
    "quantile": ("quantile", _OWN, "Quantile of samples of the posterior"),
}
"""Codes of quantities, by the beginning of the line of history that tells of them."""


def is_named_as_map(path: Location) -> bool:
    """Whether a folder is to hold a map, by its name or by the hidden one that it has while it is written."""
    return PARAMETRIC_MAP.removesuffix("dicom") in path.name.lower()


def write_parametric_map(volume: Volume, folder: Path, source: Sequence[Path]) -> None:
    """Write a map as Parametric Map objects in floating point to a new folder.

    Patient and study are those of the source, the frame of reference too; every frame has its place, and the values map
    to real-world ones as they are, with their unit and what they are coded. A large map goes into several files, so
    many slices each.

    Parameters
    ----------
    volume
        Float volume that lies on the scan; its last line of history says what it holds.
    folder
        Folder to create.
    source
        Files of the DICOM series that the map was made from.

    Raises
    ------
    MissingExtraError
        If highdicom is not installed.
    OptionError
        If there is no source.
    IntensityError
        If the volume holds integers, or a value is not finite.
    """
    _require_highdicom(folder)
    if np.dtype(volume.data.dtype).kind != "f":
        raise IntensityError(f"{folder}: a Parametric Map holds floating-point values; name a CT series *.dicom")
    if not source:
        raise OptionError(f"{folder}: {_NO_SOURCE}")
    headers = [_what_is_told(source_header(path)) for path in source]
    folder.mkdir(parents=True)
    depth, rows, columns = volume.shape
    step = max(1, LARGEST_FILE // (4 * rows * columns))
    series, width = generate_uid(), len(str(-(-depth // step)))
    for number, first in enumerate(range(0, depth, step), 1):
        made = _object(volume, (first, min(first + step, depth)), headers, series, number, str(folder))
        made.save_as(folder / f"map-{number:0{width}d}.dcm")


def _what_is_told(header: Dataset) -> Dataset:
    """What a map tells of a source image; the library would copy whatever else names the patient."""
    told = Dataset()
    for keyword in _NEEDED:
        setattr(told, keyword, "")
    for keyword in (*PATIENT, *STUDY, *IMAGE, *_PLACE):
        if keyword in header:
            told[keyword] = header[keyword]
    return told


def require_map(path: Path, scan: Path) -> None:
    """Refuse now a map that `write_parametric_map` would refuse when the work is done.

    Parameters
    ----------
    path
        Folder that is to hold the map.
    scan
        File or folder of the scan that it is made of.

    Raises
    ------
    MissingExtraError
        If highdicom is not installed.
    OptionError
        If the scan is no DICOM.
    """
    _require_highdicom(path)
    if format_of(scan).name != "dicom":
        raise OptionError(f"{path}: {_NO_SOURCE}")


def _require_highdicom(path: Path) -> None:
    if find_spec("highdicom") is None:
        raise MissingExtraError(
            f"{path}: a Parametric Map needs the package highdicom: pip install 'ctloupe[parametric-map]'"
        )


def _object(
    volume: Volume, slices: tuple[int, int], headers: Sequence[Dataset], series: str, number: int, where: str
) -> Any:
    """Slices of a volume as one object; `where` is for messages."""
    from highdicom import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence, VOILUTTransformation
    from highdicom.pm import ParametricMap

    axes = np.asarray(volume.direction)
    values = np.asarray(volume.data[slices[0] : slices[1]], dtype=np.float32)
    require_finite(values, where)
    made = ParametricMap(
        source_images=list(headers),
        pixel_array=values,
        series_instance_uid=series,
        series_number=SERIES_NUMBER_OFFSET + int(headers[0].get("SeriesNumber") or 0),
        sop_instance_uid=generate_uid(),
        instance_number=number,
        manufacturer="CT Loupe",
        manufacturer_model_name="ctloupe",
        software_versions=version("ctloupe"),
        device_serial_number="none",
        contains_recognizable_visual_features=True,
        real_world_value_mappings=[_mapping(volume)],
        voi_lut_transformations=[VOILUTTransformation(window_center=_middle(volume), window_width=2 * _middle(volume))],
        pixel_measures=PixelMeasuresSequence(
            pixel_spacing=volume.spacing[1:],
            slice_thickness=volume.spacing[0],
            spacing_between_slices=volume.spacing[0],
        ),
        plane_orientation=PlaneOrientationSequence("PATIENT", [*axes[:, 0], *axes[:, 1]]),
        plane_positions=[
            PlanePositionSequence("PATIENT", volume.physical((z, 0.0, 0.0)).tolist()) for z in range(*slices)
        ],
        content_label="CTLOUPE_MAP",
        content_description="CT Loupe, research use only",
    )
    made.SeriesDescription = "CT Loupe map, research use only"
    made.ImageComments = RESEARCH_NOTICE
    made.DerivationDescription = volume.history[-1][:1024] if volume.history else RESEARCH_NOTICE
    return made


def _mapping(volume: Volume) -> Any:
    """What the stored numbers are numbers of."""
    from highdicom.pm import RealWorldValueMapping
    from highdicom.sr import CodedConcept

    told = volume.history[-1] if volume.history else ""
    code = next((code for words, code in _CODES.items() if told.startswith(words)), ("map", _OWN, "Map on a scan"))
    unit = ("[hnsf'U]", "UCUM", "Hounsfield unit") if volume.units == "HU" else ("1", "UCUM", "no units")
    largest = float(np.finfo(np.float32).max)
    return RealWorldValueMapping(
        lut_label=volume.units,
        lut_explanation=code[2][:64],
        unit=CodedConcept(*unit),
        value_range=(-largest, largest),
        slope=1.0,
        intercept=0.0,
        quantity_definition=CodedConcept(*code),
    )


def _middle(volume: Volume) -> float:
    """Middle of the window that a map is shown in at first, which begins at 0."""
    return 100.0 if volume.units == "HU" else 0.5
