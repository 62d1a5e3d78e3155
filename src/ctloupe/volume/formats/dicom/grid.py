"""Whether DICOM slices make a volume: alike, complete, upright and evenly spaced; each fault names its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import RLELossless

from ctloupe.foundation.errors import FileError, GeometryError, IntensityError, MissingExtraError
from ctloupe.volume import geometry
from ctloupe.volume.formats.dicom.extent import MOST_EXPANSION, Extent
from ctloupe.volume.formats.dicom.headers import Header, Slice, at_fault, named_files

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


TOUCHING_MM = 1e-3


@dataclass(frozen=True)
class Stack:
    """Checked slices in order along the normal, and the grid they lie on."""

    slices: tuple[Slice, ...]
    spacing: geometry.Triple
    origin: geometry.Triple
    direction: geometry.Direction


def _pairs(slices: Sequence[Slice], after: NDArray[np.intp]) -> str:
    named = [f"{slices[i].label} and {slices[i + 1].label}" for i in after[:3]]
    return "; ".join(named) + (f"; and {len(after) - 3} more pairs" if len(after) > 3 else "")


_OTHERWISE: Final[Mapping[Extent, str]] = {
    "short": "truncated, fewer pixel bytes than the header promises; copy the file again",
    "long": "more pixel bytes than Rows, Columns and NumberOfFrames promise, so the place of each pixel is unclear; "
    "export it again",
    "followed": "elements behind the pixel data that belong before them, perhaps of a second image, so which one holds "
    "is unclear; copy the file again",
}
"""What to say of pixel data that are not whole."""


def typical_gap(gaps: NDArray[np.float64]) -> float | None:
    """Return the lower median of distances in mm, or None where there are none."""
    # The lower median is a distance that occurs: with gaps of 5 and 10 mm, the mean of both would blame each.
    return float(np.percentile(gaps, 50, method="lower")) if len(gaps) else None


def check_pixels(slices: Sequence[Slice]) -> None:
    """Raise unless every file holds whole, greyscale, decodable pixels."""
    headers = list(dict.fromkeys(one.header for one in slices))
    for extent, told in _OTHERWISE.items():
        faulty = [one.label for one in headers if one.extent == extent]
        if faulty:
            raise FileError(f"{named_files(faulty)}: {told}")
    inverted = [one.label for one in headers if one.greyscale == "MONOCHROME1"]
    if inverted:
        raise IntensityError(
            f"{named_files(inverted)}: MONOCHROME1, inverted grey values, found where MONOCHROME2 was expected; "
            "convert the series to MONOCHROME2 first"
        )
    colour = [one.label for one in headers if one.greyscale != "MONOCHROME2"]
    if colour:
        kinds = named_files(one.greyscale or "not stated" for one in headers if one.greyscale != "MONOCHROME2")
        raise IntensityError(
            f"{named_files(colour)}: colour or unknown pixels ({kinds}) found where greyscale MONOCHROME2 was "
            "expected; choose the original CT series"
        )
    _check_layout(headers)
    _check_decoder(headers)


def _check_layout(headers: Sequence[Header]) -> None:
    for one in headers:
        allocated, stored, high, representation = one.bits
        if allocated in (32, 64) and stored is None and representation is None:
            raise IntensityError(
                f"{one.label}: voxels in floating point, as of a Parametric Map, are not read; give the map as "
                "*.nii.gz or *.ome.zarr"
            )
        whole = allocated in (8, 16, 32) and stored is not None and 1 <= stored <= allocated
        if not whole or representation not in (0, 1) or (high is not None and high != (stored or 0) - 1):
            raise IntensityError(
                f"{one.label}: unsupported pixel layout (allocated, stored, high bit, sign: {one.bits}); "
                "export the series as ordinary 16-bit CT images"
            )
        packed = one.syntax is not None and one.syntax.is_compressed
        if packed and allocated == 32 and one.syntax != RLELossless:
            raise IntensityError(
                f"{one.label}: compressed pixels with BitsAllocated 32, expected 8 or 16; export it uncompressed"
            )
        if packed and one.promised > MOST_EXPANSION * one.size:
            raise FileError(
                f"{one.label}: promises {one.matrix[0]}×{one.matrix[1]} pixels in a file of {one.size} bytes; "
                "it is damaged: copy it again from its source"
            )


def _check_decoder(headers: Sequence[Header]) -> None:
    for syntax, group in groupby(headers, key=lambda one: one.syntax):
        names = named_files(one.label for one in group)
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


def check_present(slices: Sequence[Slice]) -> None:
    """Raise unless every slice states position, orientation and pixel spacing."""
    unplaced = [one for one in slices if one.frame is not None and None in (one.position, one.orientation)]
    if unplaced:
        raise GeometryError(
            f"{named_files(one.header.label for one in unplaced)}: multi-frame file without a position and "
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
                f"{at_fault(lacking)}: {keyword} is missing or unreadable in {len(lacking)} of "
                f"{len(slices)} slices; export the series again with its geometry (it is not guessed)"
            )


def _odd(values: NDArray[np.float64], tolerance: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the row that most slices share, and which rows differ from it by more than `tolerance`."""
    rows = [tuple(row) for row in np.round(values, 6)]
    common = values[rows.index(Counter(rows).most_common(1)[0][0])]
    return common, np.abs(values - common).max(axis=1) > tolerance


def check_alike(slices: Sequence[Slice]) -> None:
    """Raise unless all slices share matrix, pixel spacing and orientation."""
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
                f"{at_fault(wrong)}: mixed {name} within one series, {found}{unit} where the others have "
                f"{expected}{unit}; {split}"
            )
    row, column = cosines[0, :3], cosines[0, 3:]
    errors = [np.linalg.norm(row) - 1, np.linalg.norm(column) - 1, row @ column]
    if np.abs(errors).max() > UNIT_TOLERANCE:
        raise GeometryError(
            f"{at_fault(slices)}: ImageOrientationPatient is not two perpendicular unit vectors; "
            "export the series again"
        )


def stacked_slices(slices: Sequence[Slice]) -> Stack:
    """Order the slices along their normal and return them with their grid; raise where there is none."""
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
    return Stack(
        slices=tuple(ordered),
        spacing=(step, pixel[0], pixel[1]),
        origin=(float(positions[0, 0]), float(positions[0, 1]), float(positions[0, 2])),
        direction=geometry.as_direction(np.column_stack([row, column, normal])),
    )


def _slice_distance(
    slices: Sequence[Slice], positions: NDArray[np.float64], normal: NDArray[np.float64], pixel: float
) -> float:
    """Return the distance in mm of the slices, which are in order along `normal`."""
    if len(slices) == 1:
        if slices[0].thickness is None:
            raise GeometryError(
                f"{slices[0].label}: a single slice without SliceThickness or SpacingBetweenSlices, so its "
                "spacing in z is unknown; give the folder of the whole series"
            )
        return slices[0].thickness
    heights = (positions - positions[0]) @ normal
    gaps = np.diff(heights)
    step = typical_gap(gaps[gaps > TOUCHING_MM]) or 0.0
    repeated = np.flatnonzero(gaps <= max(TOUCHING_MM, GAP_TOLERANCE * step))
    if len(repeated):
        raise GeometryError(
            f"{_pairs(slices, repeated)}: duplicate slice position, expected one slice at each; "
            "remove the copies, or put each phase of the scan into its own folder"
        )
    _check_upright(slices, positions - positions[0] - heights[:, None] * normal, heights, pixel)
    _check_even(slices, gaps, step)
    _check_stated(slices, step)
    mean = float(heights[-1] / (len(slices) - 1))
    strayed = np.abs(heights - mean * np.arange(len(slices))) > POSITION_TOLERANCE * mean
    if strayed.any():
        wrong = [one for one, is_wrong in zip(slices, strayed, strict=True) if is_wrong]
        raise GeometryError(
            f"{at_fault(wrong)}: uneven slice spacing, off an even grid of {mean:.4g} mm by more than "
            f"{POSITION_TOLERANCE:g} of it; reconstruct the series with one slice distance"
        )
    return mean


def _check_upright(
    slices: Sequence[Slice], sideways: NDArray[np.float64], heights: NDArray[np.float64], pixel: float
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
        f"{at_fault(wrong)}: displaced sideways, {len(wrong)} of {len(slices)} slices do not lie above the "
        "others; keep slices of one field of view in the folder"
    )


def _check_even(slices: Sequence[Slice], gaps: NDArray[np.float64], step: float) -> None:
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


def _check_stated(slices: Sequence[Slice], step: float) -> None:
    """Raise where the slices lie a multiple of the stated distance apart: those between them were lost evenly."""
    ratios = np.array([step / one.distance for one in slices if one.distance is not None])
    if not len(ratios):
        return
    ratio = float(np.median(ratios))
    if round(ratio) >= 2 and abs(ratio - round(ratio)) <= GAP_TOLERANCE * ratio:
        raise GeometryError(
            f"{slices[0].label} to {slices[-1].label}: missing slices, {round(ratio) - 1} between every two: they lie "
            f"{step:.4g} mm apart and SpacingBetweenSlices is {step / ratio:.4g} mm; copy the whole series again"
        )
