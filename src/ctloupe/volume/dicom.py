"""CT series in DICOM files: found, checked slice by slice, and only then read.

Nothing is assumed of a series. A missing, repeated, tilted, displaced or truncated slice is an error that
names the file, because a volume built over it would look right and be wrong.
"""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from ctloupe.volume import geometry
from ctloupe.volume.errors import FileError, GeometryError, IntensityError, MissingExtraError, OptionError
from ctloupe.volume.volume import Modality, Units, Volume

UNIT_TOLERANCE = 1e-3
"""Largest departure of a slice's two direction cosines from unit length and from a right angle."""
ORIENTATION_TOLERANCE = 1e-4
"""Largest difference between two slices' direction cosines: 0.05 mm at the edge of a 500 mm field."""
PIXEL_SPACING_TOLERANCE = 1e-4
"""Largest relative difference between two slices' pixel spacing."""
IN_PLANE_TOLERANCE = 0.2
"""Largest sideways distance of a slice from the normal through the first one, in pixels."""
GAP_TOLERANCE = 0.05
"""Largest departure of one slice distance from the median one, as a fraction of it."""
POSITION_TOLERANCE = 0.1
"""Largest departure of a slice from its place on the even grid, in slice distances."""

_TOUCHING_MM = 1e-3
_LISTED = 12
_INT16 = np.iinfo(np.int16)
_DAMAGE = (BytesLengthException, EOFError, OSError, ValueError, RuntimeError, struct.error, zlib.error)

# Only these are read, so no patient field ever enters memory.
_TAGS = [
    *("SOPClassUID", "SeriesInstanceUID", "SeriesNumber", "Modality", "NumberOfFrames"),
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
]


@dataclass(frozen=True)
class SeriesInfo:
    """One image series of a folder, as its headers describe it; nothing is checked yet.

    Attributes
    ----------
    key : str
        What selects it: ``"1"`` to ``"n"``, ordered by SeriesNumber, then by SeriesInstanceUID.
    number : int or None
        Its SeriesNumber.
    n_files : int
    shape : (z, y, x)
        Slices, rows and columns; of the first slice where they differ.
    modality : str
        DICOM's code, for instance ``"CT"``; empty where absent.
    spacing : (z, y, x) in mm, or None
        None where the headers do not tell.
    files : tuple of Path
        In order of file name.
    """

    key: str
    number: int | None
    n_files: int
    shape: tuple[int, int, int]
    modality: str
    spacing: geometry.Triple | None
    files: tuple[Path, ...]


@dataclass(frozen=True)
class _Header:
    """What one file says of all its frames."""

    path: Path
    label: str
    uid: str
    number: int | None
    modality: str
    syntax: UID | None
    matrix: tuple[int, int]
    greyscale: str
    bits: tuple[int | None, int | None, int | None, int | None]
    complete: bool


@dataclass(frozen=True)
class _Slice:
    """What a file, or one frame of it, says of one slice; None where it says nothing usable."""

    header: _Header
    frame: int | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    thickness: float | None
    slope: float | None
    intercept: float | None
    rescale_type: str

    @property
    def label(self) -> str:
        return self.header.label if self.frame is None else f"{self.header.label} frame {self.frame + 1}"


@dataclass(frozen=True)
class _Stack:
    """Checked slices in order along the normal, and the grid they lie on."""

    slices: tuple[_Slice, ...]
    spacing: geometry.Triple
    origin: geometry.Triple
    direction: geometry.Direction


def is_dicom(path: Path) -> bool:
    """Whether `path` is a DICOM file, or a folder with one in it or below it, by the files' content."""
    path = Path(path)
    levels: tuple[Iterable[Path], ...] = (path.iterdir(), path.rglob("*")) if path.is_dir() else ([path],)
    try:
        return any(_has_magic(file) for level in levels for file in _visible(level))
    except OSError:
        return False


def list_series(path: Path) -> list[SeriesInfo]:
    """The image series of a folder or file, without checking them.

    Files without an image (DICOMDIR, reports, structure sets) are left out. Subfolders are searched only
    where the folder itself holds no DICOM file.

    Raises
    ------
    FileError
        If there is no DICOM image, or a file is damaged.
    """
    return [_info(index, group) for index, group in enumerate(_series(Path(path)), 1)]


def source_series(path: Path, series: str | int | None = None) -> list[Path]:
    """The files of one checked series, ordered along the slice normal as `read_dicom` stacks them.

    Parameters and errors are those of `read_dicom`, but no pixel is decoded.
    """
    stack = _checked(Path(path), series)
    return list(dict.fromkeys(one.header.path for one in stack.slices))


def read_dicom(path: Path, series: str | int | None = None) -> Volume:
    """Volume of one DICOM series.

    Slices are ordered along the normal of ImageOrientationPatient; the origin is the centre of the first
    voxel of the first slice. RescaleSlope and RescaleIntercept are applied to each slice: int16 where all are
    whole numbers and every value fits, else float32. A CT is ``"clinical"`` in ``"HU"``, anything else
    ``"unknown"`` and ``"raw"``. Multi-frame files are read when each frame has its position (Enhanced CT).

    Parameters
    ----------
    path
        A folder (its subfolders count only where it holds no DICOM file itself), or one file, read alone.
    series
        Which one, where there are several: its index in `list_series`, or its SeriesInstanceUID.

    Raises
    ------
    FileError
        If there is no DICOM image, or a file is truncated, damaged or compressed in an unknown way.
    OptionError
        If there are several series and `series` does not say which, or it names none.
    GeometryError
        If a position, orientation or spacing is missing, or the slices do not form one even, upright and
        complete stack.
    IntensityError
        If the image is in colour or inverted, or its values cannot be scaled.
    MissingExtraError
        If the pixels are compressed and no installed library decodes them.
    """
    stack = _checked(Path(path), series)
    first = stack.slices[0]
    slopes, intercepts, note = _rescale(stack.slices)
    data = _decode(stack, slopes, intercepts)
    modality: Modality = "clinical" if first.header.modality == "CT" else "unknown"
    # Spectral CT stores electron density, effective atomic number and the like under the same modality.
    in_hu = modality == "clinical" and first.rescale_type in ("", "HU", "HU_MOD", "US")
    units: Units = "HU" if in_hu else "raw"
    history = (f"read {len(stack.slices)} DICOM slices", *note)
    return Volume(data, stack.spacing, stack.origin, stack.direction, modality, units, history)


def _visible(entries: Iterable[Path]) -> Iterator[Path]:
    for file in sorted(entries):
        if not file.name.startswith(".") and file.name.upper() != "DICOMDIR" and file.is_file():
            yield file


def _has_magic(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileError(f"{path}: no such file or folder; give a DICOM file or the folder of a series")
    try:
        for level in (path.iterdir(), path.rglob("*")):
            # A .dcm file without the magic is kept, to be reported: it may be a slice that was damaged.
            files = [file for file in _visible(level) if file.suffix.lower() == ".dcm" or _has_magic(file)]
            if files:
                return files
    except OSError as error:
        raise FileError(f"{error.filename}: cannot be read; check its permissions") from error
    raise FileError(f"{path}: no DICOM file in this folder or below it; give the folder of a CT series")


def _series(path: Path) -> list[list[_Slice]]:
    files = _files(path)
    groups: dict[str, list[_Slice]] = {}
    for file in files:
        for one in _read_header(file, file.name if file == path else str(file.relative_to(path))):
            groups.setdefault(one.header.uid, []).append(one)
    if not groups:
        raise FileError(
            f"{path}: no image in any of its {len(files)} DICOM files "
            f"({_named(file.name for file in files)}); give the folder of a CT series"
        )

    def rank(group: list[_Slice]) -> tuple[bool, int, str]:
        header = group[0].header
        return header.number is None, header.number or 0, header.uid

    return sorted(groups.values(), key=rank)


def _read_header(path: Path, label: str) -> list[_Slice]:
    """The slices of a file, or none when it is no image."""
    damaged = f"{label}: damaged or truncated DICOM file; copy it again from its source"
    try:
        # The library's warnings quote header values, which may be a patient's.
        with path.open("rb") as stream, warnings.catch_warnings(action="ignore"):
            data = dcmread(stream, stop_before_pixels=True, specific_tags=_TAGS)
            matrix = (_whole(data, "Rows"), _whole(data, "Columns"))
            if matrix[0] is None or matrix[1] is None:
                if _lost_its_image(data, path.stat().st_size):
                    raise FileError(damaged)
                return []
            complete = _pixels_complete(stream, data, path.stat().st_size)
            header = _header(path, label, data, (matrix[0], matrix[1]), complete)
            return _frames(header, data)
    except InvalidDicomError as error:
        raise FileError(f"{label}: not a DICOM file (no DICM mark at byte 128); remove it or copy it again") from error
    except PermissionError as error:
        raise FileError(f"{label}: cannot be read; check its permissions") from error
    except _DAMAGE as error:
        raise FileError(damaged) from error


def _lost_its_image(data: Dataset, size: int) -> bool:
    """Whether a file without an image was meant to have one, or is too short to tell."""
    meta_end = 144 + int(data.file_meta.get("FileMetaInformationGroupLength") or 0)
    kind = data.file_meta.get("MediaStorageSOPClassUID") or data.get("SOPClassUID")
    return size < meta_end or not kind or "Image Storage" in UID(kind).name


def _header(path: Path, label: str, data: Dataset, matrix: tuple[int, int], complete: bool) -> _Header:
    samples = _whole(data, "SamplesPerPixel")
    photometric = str(data.get("PhotometricInterpretation") or "")
    layout = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    bits = tuple(_whole(data, keyword) for keyword in layout)
    return _Header(
        path=path,
        label=label,
        uid=str(data.get("SeriesInstanceUID") or ""),
        number=_whole(data, "SeriesNumber"),
        modality=str(data.get("Modality") or ""),
        syntax=data.file_meta.get("TransferSyntaxUID"),
        matrix=matrix,
        greyscale=photometric if samples == 1 else f"{photometric} with {samples} samples per pixel",
        bits=(bits[0], bits[1], bits[2], bits[3]),
        complete=complete,
    )


def _frames(header: _Header, data: Dataset) -> list[_Slice]:
    per_frame = data.get("PerFrameFunctionalGroupsSequence") or []
    count = _whole(data, "NumberOfFrames") or 1
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
    header: _Header,
    frame: int | None,
    position: Dataset,
    orientation: Dataset,
    measures: Dataset,
    transform: Dataset,
) -> _Slice:
    thickness = _numbers(measures, "SliceThickness", 1) or _numbers(measures, "SpacingBetweenSlices", 1)
    pixel = _numbers(measures, "PixelSpacing", 2)
    return _Slice(
        header=header,
        frame=frame,
        position=_numbers(position, "ImagePositionPatient", 3),
        orientation=_numbers(orientation, "ImageOrientationPatient", 6),
        pixel_spacing=pixel if pixel and min(pixel) > 0 else None,
        thickness=thickness[0] if thickness and thickness[0] > 0 else None,
        slope=_scaling(transform, "RescaleSlope"),
        intercept=_scaling(transform, "RescaleIntercept"),
        rescale_type=str(transform.get("RescaleType") or "").upper(),
    )


def _scaling(transform: Dataset, keyword: str) -> float | None:
    """The value, NaN where the tag is there and unreadable, None where it is absent."""
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


def _pixels_complete(stream: BinaryIO, data: Dataset, size: int) -> bool:
    """Whether the file goes on for as long as its header promises; `stream` stands before the pixel data."""
    syntax = data.file_meta.get("TransferSyntaxUID")
    if syntax == DeflatedExplicitVRLittleEndian:
        return True  # the inflater itself notices a cut
    implicit, little = data.original_encoding
    head = stream.read(8 if implicit else 12)
    if len(head) < 8:
        return False
    order = "<" if little else ">"
    if syntax is not None and syntax.is_compressed:
        return _fragments_complete(stream, size)
    (length,) = struct.unpack(f"{order}I", head[-4:])
    promised = _whole(data, "BitsAllocated") or 0
    for keyword in ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames"):
        promised *= _whole(data, keyword) or 1
    return bool(8 * min(length, size - stream.tell()) >= promised)


def _fragments_complete(stream: BinaryIO, size: int) -> bool:
    while len(item := stream.read(8)) == 8:
        group, element, length = struct.unpack("<HHI", item)
        if (group, element) != (0xFFFE, 0xE000):
            return (group, element) == (0xFFFE, 0xE0DD)
        if stream.seek(length, 1) > size:
            return False
    # Some writers leave out the closing mark; what is whole up to the end is for the decoder to judge.
    return not item


def _info(index: int, slices: Sequence[_Slice]) -> SeriesInfo:
    first = slices[0]
    step = first.thickness
    if len(slices) > 1 and first.orientation and all(one.position for one in slices):
        normal = np.cross(first.orientation[:3], first.orientation[3:])
        gaps = np.diff(np.sort(np.array([one.position for one in slices]) @ normal))
        step = _typical(gaps[gaps > _TOUCHING_MM])
    pixel = first.pixel_spacing
    files = tuple(dict.fromkeys(one.header.path for one in slices))
    return SeriesInfo(
        key=str(index),
        number=first.header.number,
        n_files=len(files),
        shape=(len(slices), *first.header.matrix),
        modality=first.header.modality,
        spacing=(step, pixel[0], pixel[1]) if step and pixel else None,
        files=files,
    )


def _described(group: tuple[int, list[_Slice]]) -> str:
    info = _info(*group)
    z, y, x = info.shape
    size = "×".join(f"{value:.4g}" for value in info.spacing) + " mm" if info.spacing else "unknown"
    return f"{info.key}: {info.modality or 'no modality'}, {z} slices of {y}×{x}, spacing {size}"


def _select(path: Path, groups: list[list[_Slice]], series: str | int | None) -> list[_Slice]:
    found = "; ".join(_described(group) for group in enumerate(groups[:_LISTED], 1))
    found += f"; and {len(groups) - _LISTED} more" if len(groups) > _LISTED else ""
    if series is None:
        if len(groups) == 1:
            return groups[0]
        raise OptionError(f"{path}: holds {len(groups)} series, expected one; choose with --series N ({found})")
    wanted = str(series).strip()
    for index, group in enumerate(groups, 1):
        if wanted in (str(index), group[0].header.uid):
            return group
    # A UID can lead to a person, so only an index is repeated.
    name = wanted if wanted.lstrip("-").isdigit() else "as given"
    raise OptionError(f"--series {name}: no such series in {path}; choose with --series N ({found})")


def _named(labels: Iterable[str]) -> str:
    names = list(dict.fromkeys(labels))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _at_fault(slices: Iterable[_Slice]) -> str:
    return _named(one.label for one in slices)


def _pairs(slices: Sequence[_Slice], after: NDArray[np.intp]) -> str:
    named = [f"{slices[i].label} and {slices[i + 1].label}" for i in after[:3]]
    return "; ".join(named) + (f"; and {len(after) - 3} more pairs" if len(after) > 3 else "")


def _typical(gaps: NDArray[np.float64]) -> float | None:
    # The lower median is a distance that occurs: with gaps of 5 and 10 mm, the mean of both would blame each.
    return float(np.percentile(gaps, 50, method="lower")) if len(gaps) else None


def _checked(path: Path, series: str | int | None) -> _Stack:
    slices = _select(path, _series(path), series)
    _check_pixels(slices)
    _check_present(slices)
    _check_alike(slices)
    return _stacked(slices)


def _check_pixels(slices: Sequence[_Slice]) -> None:
    headers = list(dict.fromkeys(one.header for one in slices))
    cut = [one.label for one in headers if not one.complete]
    if cut:
        raise FileError(
            f"{_named(cut)}: truncated, fewer pixel bytes than the header promises; copy the file again from its source"
        )
    inverted = [one.label for one in headers if one.greyscale == "MONOCHROME1"]
    if inverted:
        raise IntensityError(
            f"{_named(inverted)}: MONOCHROME1, inverted grey values, found where MONOCHROME2 was expected; "
            "convert the series to MONOCHROME2 first"
        )
    colour = [one.label for one in headers if one.greyscale != "MONOCHROME2"]
    if colour:
        kinds = _named(one.greyscale or "not stated" for one in headers if one.greyscale != "MONOCHROME2")
        raise IntensityError(
            f"{_named(colour)}: colour or unknown pixels ({kinds}) found where greyscale MONOCHROME2 was "
            "expected; choose the original CT series"
        )
    _check_layout(headers)
    _check_decoder(headers)


def _check_layout(headers: Sequence[_Header]) -> None:
    for one in headers:
        allocated, stored, high, representation = one.bits
        whole = allocated in (8, 16, 32) and stored is not None and 1 <= stored <= allocated
        if not whole or representation not in (0, 1) or (high is not None and high != (stored or 0) - 1):
            raise IntensityError(
                f"{one.label}: unsupported pixel layout (allocated, stored, high bit, sign: {one.bits}); "
                "export the series as ordinary 16-bit CT images"
            )


def _check_decoder(headers: Sequence[_Header]) -> None:
    for syntax, group in groupby(headers, key=lambda one: one.syntax):
        names = _named(one.label for one in group)
        if syntax is None:
            raise FileError(f"{names}: no TransferSyntaxUID, so the pixels cannot be decoded; export it again")
        try:
            available = get_decoder(syntax).is_available
        except NotImplementedError as error:
            raise FileError(
                f"{names}: pixels stored as {syntax.name}, which cannot be decoded; export it uncompressed"
            ) from error
        if not available:
            raise MissingExtraError(
                f"{names}: pixels compressed as {syntax.name}, and no decoder for that is installed; "
                "run pip install 'ctloupe[dicom]'"
            )


def _check_present(slices: Sequence[_Slice]) -> None:
    unplaced = [one for one in slices if one.frame is not None and None in (one.position, one.orientation)]
    if unplaced:
        raise GeometryError(
            f"{_named(one.header.label for one in unplaced)}: multi-frame file without a position and "
            "orientation for every frame; export the series as Enhanced CT or as single-frame CT images"
        )
    for keyword, values in (
        ("PixelSpacing", [one.pixel_spacing for one in slices]),
        ("ImagePositionPatient", [one.position for one in slices]),
        ("ImageOrientationPatient", [one.orientation for one in slices]),
    ):
        lacking = [one for one, value in zip(slices, values, strict=True) if value is None]
        if lacking:
            raise GeometryError(
                f"{_at_fault(lacking)}: {keyword} is missing or unreadable in {len(lacking)} of "
                f"{len(slices)} slices; export the series again with its geometry (it is not guessed)"
            )


def _odd(values: NDArray[np.float64], tolerance: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The row most slices share, and which rows differ from it by more than `tolerance`."""
    rows = [tuple(row) for row in np.round(values, 6)]
    common = values[rows.index(Counter(rows).most_common(1)[0][0])]
    return common, np.abs(values - common).max(axis=1) > tolerance


def _check_alike(slices: Sequence[_Slice]) -> None:
    split = "keep one kind of slice in the folder"
    matrices = np.array([one.header.matrix for one in slices], dtype=np.float64)
    spacings = np.array([one.pixel_spacing for one in slices])
    cosines = np.array([one.orientation for one in slices])
    for name, unit, values, tolerance in (
        ("matrix size", "", matrices, 0.0),
        ("pixel spacing", " mm", spacings, PIXEL_SPACING_TOLERANCE * float(spacings.min())),
        ("orientation", "", cosines, ORIENTATION_TOLERANCE),
    ):
        common, odd = _odd(values, tolerance)
        if odd.any():
            wrong = [one for one, is_odd in zip(slices, odd, strict=True) if is_odd]
            found, expected = ("×".join(f"{v:g}" for v in row) for row in (values[odd][0], common))
            if name == "orientation":
                found, expected = found.replace("×", " "), expected.replace("×", " ")
            raise GeometryError(
                f"{_at_fault(wrong)}: mixed {name} within one series, {found}{unit} where the others have "
                f"{expected}{unit}; {split}"
            )
    row, column = cosines[0, :3], cosines[0, 3:]
    errors = [np.linalg.norm(row) - 1, np.linalg.norm(column) - 1, row @ column]
    if np.abs(errors).max() > UNIT_TOLERANCE:
        raise GeometryError(
            f"{_at_fault(slices)}: ImageOrientationPatient is not two perpendicular unit vectors; "
            "export the series again"
        )


def _stacked(slices: Sequence[_Slice]) -> _Stack:
    first = slices[0]
    cosines, pixel = np.array(first.orientation), first.pixel_spacing or ()
    row = cosines[:3] / np.linalg.norm(cosines[:3])
    column = cosines[3:] - (cosines[3:] @ row) * row
    column /= np.linalg.norm(column)
    normal = np.cross(row, column)
    positions = np.array([one.position for one in slices])
    order = np.argsort(positions @ normal, kind="stable")
    ordered, positions = [slices[i] for i in order], positions[order]
    step = _slice_distance(ordered, positions, normal, min(pixel))
    return _Stack(
        slices=tuple(ordered),
        spacing=(step, pixel[0], pixel[1]),
        origin=(float(positions[0, 0]), float(positions[0, 1]), float(positions[0, 2])),
        direction=geometry.as_direction(np.column_stack([row, column, normal])),
    )


def _slice_distance(
    slices: Sequence[_Slice], positions: NDArray[np.float64], normal: NDArray[np.float64], pixel: float
) -> float:
    """Distance in mm of the slices, which are in order along `normal`."""
    if len(slices) == 1:
        if slices[0].thickness is None:
            raise GeometryError(
                f"{slices[0].label}: a single slice without SliceThickness or SpacingBetweenSlices, so its "
                "spacing in z is unknown; give the folder of the whole series"
            )
        return slices[0].thickness
    heights = (positions - positions[0]) @ normal
    gaps = np.diff(heights)
    step = _typical(gaps[gaps > _TOUCHING_MM]) or 0.0
    repeated = np.flatnonzero(gaps <= max(_TOUCHING_MM, GAP_TOLERANCE * step))
    if len(repeated):
        raise GeometryError(
            f"{_pairs(slices, repeated)}: duplicate slice position, expected one slice at each; "
            "remove the copies, or put each phase of the scan into its own folder"
        )
    _check_upright(slices, positions - positions[0] - heights[:, None] * normal, heights, pixel)
    _check_even(slices, gaps, step)
    mean = float(heights[-1] / (len(slices) - 1))
    strayed = np.abs(heights - mean * np.arange(len(slices))) > POSITION_TOLERANCE * mean
    if strayed.any():
        wrong = [one for one, is_wrong in zip(slices, strayed, strict=True) if is_wrong]
        raise GeometryError(
            f"{_at_fault(wrong)}: uneven slice spacing, off an even grid of {mean:.4g} mm by more than "
            f"{POSITION_TOLERANCE:g} of it; reconstruct the series with one slice distance"
        )
    return mean


def _check_upright(
    slices: Sequence[_Slice], sideways: NDArray[np.float64], heights: NDArray[np.float64], pixel: float
) -> None:
    allowed = IN_PLANE_TOLERANCE * pixel
    if np.linalg.norm(sideways, axis=1).max() <= allowed:
        return
    steady = sideways[-1] * (heights / heights[-1])[:, None]
    if np.linalg.norm(sideways - steady, axis=1).max() <= allowed:
        angle = np.degrees(np.arctan2(np.linalg.norm(sideways[-1]), heights[-1]))
        raise GeometryError(
            f"{slices[0].label} to {slices[-1].label}: gantry tilt, the slices drift sideways by "
            f"{angle:.1f}° from their normal; resample the series to an upright grid first"
        )
    off = np.linalg.norm(sideways - np.median(sideways, axis=0), axis=1) > allowed
    if not off.any():
        off = np.linalg.norm(sideways, axis=1) > allowed
    wrong = [one for one, is_off in zip(slices, off, strict=True) if is_off]
    raise GeometryError(
        f"{_at_fault(wrong)}: displaced sideways, {len(wrong)} of {len(slices)} slices do not lie above the "
        "others; keep slices of one field of view in the folder"
    )


def _check_even(slices: Sequence[_Slice], gaps: NDArray[np.float64], step: float) -> None:
    wide = np.flatnonzero(np.abs(gaps - step) > GAP_TOLERANCE * step)
    if not len(wide):
        return
    ratio = gaps[wide] / step
    missing = np.rint(ratio).astype(int) - 1
    if (missing >= 1).all() and (np.abs(ratio - missing - 1) <= GAP_TOLERANCE * (missing + 1)).all():
        places = [
            f"{n} missing between {slices[i].label} and {slices[i + 1].label}"
            for i, n in zip(wide[:3], missing[:3], strict=True)
        ]
        more = f" and at {len(wide) - 3} more places" if len(wide) > 3 else ""
        raise GeometryError(
            f"missing slices: {', '.join(places)}{more} (slice distance {step:.4g} mm); copy the whole series again"
        )
    raise GeometryError(
        f"{_pairs(slices, wide)}: uneven slice spacing, {gaps[wide[0]]:.4g} mm where {step:.4g} mm was "
        "expected; reconstruct the series with one slice distance"
    )


def _rescale(slices: Sequence[_Slice]) -> tuple[list[float], list[float], tuple[str, ...]]:
    """Slope and intercept of each slice, and what the history must say of them."""
    absent = [one for one in slices if one.slope is None and one.intercept is None]
    if len(absent) == len(slices):
        note = ("no rescale tags: stored values taken as they are (slope 1, intercept 0)",)
        return [1.0] * len(slices), [0.0] * len(slices), note
    lacking = [one for one in slices if not (_known(one.slope) and _known(one.intercept))]
    if lacking:
        raise IntensityError(
            f"{_at_fault(lacking)}: RescaleSlope or RescaleIntercept is missing or unreadable in "
            f"{len(lacking)} of {len(slices)} slices, so their values are unknown; export the series again"
        )
    flat = [one for one in slices if one.slope == 0]
    if flat:
        raise IntensityError(f"{_at_fault(flat)}: RescaleSlope is 0, which erases the image; export it again")
    types = Counter(one.rescale_type for one in slices)
    if len(types) > 1:
        odd = [one for one in slices if one.rescale_type != types.most_common(1)[0][0]]
        raise IntensityError(f"{_at_fault(odd)}: mixed RescaleType within one series; keep one kind of slice")
    return [one.slope or 1.0 for one in slices], [one.intercept or 0.0 for one in slices], ()


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _decode(stack: _Stack, slopes: list[float], intercepts: list[float]) -> NDArray[Any]:
    whole = all(v.is_integer() and _INT16.min <= v <= _INT16.max for v in (*slopes, *intercepts))
    shape = (len(stack.slices), *stack.slices[0].header.matrix)
    out: NDArray[Any] = np.empty(shape, np.int16 if whole else np.float32)
    with warnings.catch_warnings(action="ignore"):
        for index, values in enumerate(_stored_values(stack.slices)):
            out = _place(values, slopes[index], intercepts[index], out, index)
    return out


def _stored_values(slices: Sequence[_Slice]) -> Iterator[NDArray[Any]]:
    for header, group in groupby(slices, key=lambda one: one.header):
        frames = [one.frame or 0 for one in group]
        damaged = f"{header.label}: the pixel data cannot be decoded (damaged or truncated); copy it again"
        count = 0
        try:
            # The library reads frames straight from a file, but does not inflate it on the way.
            deflated = header.syntax == DeflatedExplicitVRLittleEndian
            source = dcmread(header.path) if deflated else header.path
            for values in iter_pixels(source, indices=frames, raw=True):
                if values.shape != header.matrix:
                    raise FileError(damaged)
                count += 1
                yield values
        except _DAMAGE as error:
            raise FileError(damaged) from error
        if count != len(frames):
            raise FileError(damaged)


def _place(values: NDArray[Any], slope: float, intercept: float, out: NDArray[Any], index: int) -> NDArray[Any]:
    """Write one rescaled slice and return the array, made float32 once a value does not fit in int16."""
    if out.dtype == np.int16:
        ends = (slope * int(values.min()) + intercept, slope * int(values.max()) + intercept)
        if min(ends) < _INT16.min or max(ends) > _INT16.max:
            out = out.astype(np.float32)
    # The result is known to fit, so arithmetic modulo 2^16 is exact and needs no wider copy.
    kind = int if out.dtype == np.int16 else float
    if slope == 1:
        np.add(values, kind(intercept), out=out[index], dtype=out.dtype, casting="unsafe")
    else:
        np.multiply(values, kind(slope), out=out[index], dtype=out.dtype, casting="unsafe")
        out[index] += kind(intercept)
    return out
