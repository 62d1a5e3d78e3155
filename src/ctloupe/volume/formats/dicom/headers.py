"""DICOM files found and parsed into records of plain values; no patient field is read."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.multival import MultiValue
from pydicom.uid import UID

from ctloupe.foundation.errors import FileError
from ctloupe.volume.formats.dicom.extent import Extent, extent_of_pixels, promised_bytes, require_modest_inflation
from ctloupe.volume.formats.dicom.lost_image import lost_its_image

# What pydicom and its decoders raise for damaged files.
DAMAGE = (
    *(BytesLengthException, EOFError, OSError, ValueError, RuntimeError, struct.error, zlib.error),
    *(TypeError, AttributeError, KeyError, IndexError, MemoryError),
)


# Only these are read, so no field of a patient ever enters memory.
_TAGS = [
    *("SOPClassUID", "SeriesInstanceUID", "SeriesNumber", "Modality", "NumberOfFrames"),
    *("SeriesDescription", "ConvolutionKernel"),
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("ImageType", "LossyImageCompression", "BurnedInAnnotation"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
]


def is_compressed(path: Path) -> bool:
    """Whether the pixels of a file, or of the first DICOM file of a folder, are compressed; False of damaged ones."""
    files = (one for one in sorted(path.rglob("*")) if one.is_file()) if path.is_dir() else iter((path,))
    for file in files:
        try:
            syntax = read_file_meta_info(file).get("TransferSyntaxUID")
        except (InvalidDicomError, *DAMAGE):
            continue
        if syntax is not None:
            return bool(syntax.is_compressed)
    return False


@dataclass(frozen=True)
class Header:
    """What one file says of all its frames."""

    path: Path
    label: str
    uid: str
    number: int | None
    modality: str
    description: str
    kernel: str
    syntax: UID | None
    matrix: tuple[int, int]
    greyscale: str
    bits: tuple[int | None, int | None, int | None, int | None]
    extent: Extent
    promised: int
    size: int
    kinds: tuple[str, ...]
    lossy: bool
    burned_in: bool


@dataclass(frozen=True)
class Slice:
    """What a file, or one frame of it, says of one slice; an entry is None where it says nothing usable."""

    header: Header
    frame: int | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    thickness: float | None
    distance: float | None
    slope: float | None
    intercept: float | None
    rescale_type: str

    @property
    def label(self) -> str:
        """File name for messages, with the frame where a file holds several."""
        return self.header.label if self.frame is None else f"{self.header.label} frame {self.frame + 1}"


def visible_files(entries: Iterable[Path]) -> Iterator[Path]:
    """Yield the files of a folder in order of name, without hidden ones and DICOMDIR."""
    for file in sorted(entries):
        if not file.name.startswith(".") and file.name.upper() != "DICOMDIR" and file.is_file():
            yield file


def has_magic(path: Path) -> bool:
    """Whether the file carries the mark of DICOM."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileError(f"{path}: no such file or folder; give a DICOM file or the folder of a series")
    try:
        for odd in path.glob("*.[dD][cC][mM]"):
            if not (odd.is_file() or odd.is_dir()):
                raise FileError(
                    f"{odd}: neither a file nor a folder, where a slice may have been; copy the folder again"
                )
        for level in (path.iterdir(), path.rglob("*")):
            # A .dcm file without the magic is kept, to be reported: it may be a slice that was damaged.
            files = [file for file in visible_files(level) if file.suffix.lower() == ".dcm" or has_magic(file)]
            if files:
                return files
    except OSError as error:
        raise FileError(f"{error.filename}: cannot be read; check its permissions") from error
    raise FileError(f"{path}: no DICOM file in this folder or below it; give the folder of a CT series")


@dataclass(frozen=True)
class Found:
    """What the DICOM files of a folder hold.

    Attributes
    ----------
    series
        Slices of each series, in the order of their numbers.
    imageless
        Names of the files without an image, such as reports.
    """

    series: list[list[Slice]]
    imageless: tuple[str, ...]


def grouped_series(path: Path) -> Found:
    """Return what lies under `path`."""
    files = _files(path)
    groups: dict[str, list[Slice]] = {}
    imageless = []
    for file in files:
        label = file.name if file == path else str(file.relative_to(path))
        slices = _read_header(file, label)
        if not slices:
            imageless.append(label)
        for one in slices:
            groups.setdefault(one.header.uid, []).append(one)
    if not groups:
        raise FileError(
            f"{path}: no image in any of its {len(files)} DICOM files "
            f"({named_files(file.name for file in files)}); give the folder of a CT series"
        )

    def rank(group: list[Slice]) -> tuple[bool, int, str]:
        header = group[0].header
        return header.number is None, header.number or 0, header.uid

    return Found(sorted(groups.values(), key=rank), tuple(imageless))


def _read_header(path: Path, label: str) -> list[Slice]:
    """Return the slices of a file, or none when it is no image."""
    damaged = f"{label}: damaged or truncated DICOM file; copy it again from its source"
    try:
        # The library's warnings quote header values, which may be a patient's.
        with path.open("rb") as stream, warnings.catch_warnings(action="ignore"):
            require_modest_inflation(path, label)
            data = dcmread(stream, stop_before_pixels=True, specific_tags=_TAGS)
            matrix = (_whole(data, "Rows"), _whole(data, "Columns"))
            if matrix[0] is None or matrix[1] is None:
                if lost_its_image(path, data):
                    raise FileError(damaged)
                return []
            size = path.stat().st_size
            extent = extent_of_pixels(stream, data, size)
            header = _header(path, label, data, (matrix[0], matrix[1]), extent, size)
            return _frames(header, data)
    except InvalidDicomError as error:
        raise FileError(f"{label}: not a DICOM file (no DICM mark at byte 128); remove it or copy it again") from error
    except PermissionError as error:
        raise FileError(f"{label}: cannot be read; check its permissions") from error
    except DAMAGE as error:
        raise FileError(damaged) from error


def _header(path: Path, label: str, data: Dataset, matrix: tuple[int, int], extent: Extent, size: int) -> Header:
    samples = _whole(data, "SamplesPerPixel")
    photometric = str(data.get("PhotometricInterpretation") or "")
    layout = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    bits = tuple(_whole(data, keyword) for keyword in layout)
    return Header(
        path=path,
        label=label,
        uid=str(data.get("SeriesInstanceUID") or ""),
        number=_whole(data, "SeriesNumber"),
        modality=str(data.get("Modality") or ""),
        description=str(data.get("SeriesDescription") or "").strip(),
        kernel=" ".join(str(one) for one in _several(data.get("ConvolutionKernel"))).strip(),
        syntax=data.file_meta.get("TransferSyntaxUID"),
        matrix=matrix,
        greyscale=photometric if samples == 1 else f"{photometric} with {samples} samples per pixel",
        bits=(bits[0], bits[1], bits[2], bits[3]),
        extent=extent,
        promised=promised_bytes(data),
        size=size,
        kinds=tuple(str(kind).upper() for kind in _several(data.get("ImageType"))),
        lossy=str(data.get("LossyImageCompression") or "") == "01",
        burned_in=str(data.get("BurnedInAnnotation") or "").upper() == "YES",
    )


def _several(value: object) -> Iterable[object]:
    return value if isinstance(value, MultiValue) else () if value is None else (value,)


def _frames(header: Header, data: Dataset) -> list[Slice]:
    per_frame = data.get("PerFrameFunctionalGroupsSequence") or []
    # A file that holds fewer frames than it promises is refused as a whole, so they are not gone through.
    count = (_whole(data, "NumberOfFrames") or 1) if header.extent == "whole" else 1
    if count == 1 and not per_frame:
        return [_slice(header, None, data, data, data, data)]
    shared = (data.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    slices = []
    for index in range(count):
        own = per_frame[index] if len(per_frame) == count else Dataset()
        names = ("PlanePosition", "PlaneOrientation", "PixelMeasures", "PixelValueTransformation")
        groups = [own.get(f"{name}Sequence") or shared.get(f"{name}Sequence") for name in names]
        slices.append(_slice(header, index, *(group[0] if group else Dataset() for group in groups)))
    return slices


def _slice(
    header: Header,
    frame: int | None,
    position: Dataset,
    orientation: Dataset,
    measures: Dataset,
    transform: Dataset,
) -> Slice:
    distance = _numbers(measures, "SpacingBetweenSlices", 1)
    thickness = _numbers(measures, "SliceThickness", 1) or distance
    pixel = _numbers(measures, "PixelSpacing", 2)
    return Slice(
        header=header,
        frame=frame,
        position=_numbers(position, "ImagePositionPatient", 3),
        orientation=_numbers(orientation, "ImageOrientationPatient", 6),
        pixel_spacing=pixel if pixel and min(pixel) > 0 else None,
        thickness=thickness[0] if thickness and thickness[0] > 0 else None,
        distance=abs(distance[0]) if distance and distance[0] != 0 else None,
        slope=_scaling(transform, "RescaleSlope"),
        intercept=_scaling(transform, "RescaleIntercept"),
        rescale_type=str(transform.get("RescaleType") or "").upper(),
    )


def _scaling(transform: Dataset, keyword: str) -> float | None:
    """Return the value of a tag, NaN where it is there and unreadable, None where it is absent."""
    if keyword not in transform:
        return None
    number = _numbers(transform, keyword, 1)
    return number[0] if number else float("nan")


def _numbers(data: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    try:
        value = data.get(keyword)
        numbers = tuple(float(number) for number in ([value] if count == 1 else value))
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _whole(data: Dataset, keyword: str) -> int | None:
    number = _numbers(data, keyword, 1)
    return int(number[0]) if number else None


def named_files(labels: Iterable[str]) -> str:
    """List at most three names, and say how many more there are."""
    names = list(dict.fromkeys(labels))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def at_fault(slices: Iterable[Slice]) -> str:
    """List the files that hold `slices`, as `named_files` does."""
    return named_files(one.label for one in slices)
