"""CT series in DICOM files: found, checked slice by slice, and only then read.

Nothing is assumed of a series. A missing, repeated, tilted, displaced or truncated slice is an error that
names the file, because a volume built over it would look right and be wrong.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ctloupe.foundation.errors import FileError, IntensityError
from ctloupe.volume.formats.dicom.grid import (
    GAP_TOLERANCE,
    Stack,
    check_alike,
    check_pixels,
    check_present,
    stacked_slices,
)
from ctloupe.volume.formats.dicom.headers import DAMAGE, Found, Slice, at_fault, grouped_series, named_files
from ctloupe.volume.formats.dicom.kind import check_kind, meaning_of, notes_of_distance
from ctloupe.volume.formats.dicom.series import selected
from ctloupe.volume.formats.room import require_room
from ctloupe.volume.volume import Volume

# Beyond it, single precision no longer tells the values of an image apart from infinity or zero.
_MOST_SLOPE = 1e9

_INT16 = np.iinfo(np.int16)


def source_series(path: Path, series: str | int | None = None) -> list[Path]:
    """Return the files of one checked series, ordered along the slice normal as `read_dicom` stacks them.

    Parameters and errors are those of `read_dicom`, but no pixel is decoded.
    """
    stack, _ = _checked(Path(path), grouped_series(Path(path)), series)
    return list(dict.fromkeys(one.header.path for one in stack.slices))


def read_dicom(path: Path, series: str | int | None = None) -> Volume:
    """Return the volume of one DICOM series.

    Slices are ordered along the normal of ImageOrientationPatient; the origin is the centre of the first
    voxel of the first slice. RescaleSlope and RescaleIntercept are applied to each slice: int16 where all are
    whole numbers and every value fits, else float32. A CT is ``"clinical"``, in ``"HU"`` where it has rescale tags;
    Modality OT (other) or none is ``"unknown"`` and ``"raw"``, and every other modality is refused.
    Multi-frame files are read when each frame has its position (Enhanced CT).

    Parameters
    ----------
    path
        Folder (its subfolders count only where it holds no DICOM file itself), or one file, which is read alone.
    series
        Which series to read where there are several: its index in `list_series`, its SeriesNumber, or its
        SeriesInstanceUID.

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
        If the image is of another modality, a survey view (LOCALIZER), in colour or inverted, or its values cannot be
        scaled.
    MissingExtraError
        If the pixels are compressed and no installed library decodes them.
    """
    path = Path(path)
    found = grouped_series(path)
    stack, chosen = _checked(path, found, series)
    slopes, intercepts = _rescale(stack.slices)
    modality, units, notes = meaning_of(stack.slices)
    notes = (
        chosen + notes + notes_of_distance(stack.slices, stack.spacing[0], GAP_TOLERANCE) + _notes_of_imageless(found)
    )
    data = _decode(path, stack, slopes, intercepts)
    history = (f"read {len(stack.slices)} DICOM slices", *notes)
    return Volume(data, stack.spacing, stack.origin, stack.direction, modality, units, history, notes)


def _notes_of_imageless(found: Found) -> tuple[str, ...]:
    if not found.imageless:
        return ()
    count = len(found.imageless)
    which = "1 DICOM file without an image is" if count == 1 else f"{count} DICOM files without an image are"
    return (f"{which} left out: {named_files(found.imageless)}",)


def _checked(path: Path, found: Found, series: str | int | None) -> tuple[Stack, tuple[str, ...]]:
    """Return the stack of the chosen series, and what to say of the choice."""
    slices, chosen = selected(path, found.series, series)
    check_kind(slices)
    check_pixels(slices)
    check_present(slices)
    check_alike(slices)
    return stacked_slices(slices), chosen


def _rescale(slices: Sequence[Slice]) -> tuple[list[float], list[float]]:
    """Return the slope and intercept of each slice, and what the history must say of them."""
    absent = [one for one in slices if one.slope is None and one.intercept is None]
    if len(absent) == len(slices):
        return [1.0] * len(slices), [0.0] * len(slices)
    lacking = [one for one in slices if not (_known(one.slope) and _known(one.intercept))]
    if lacking:
        raise IntensityError(
            f"{at_fault(lacking)}: RescaleSlope or RescaleIntercept is missing or unreadable in "
            f"{len(lacking)} of {len(slices)} slices, so their values are unknown; export the series again"
        )
    flat = [one for one in slices if one.slope == 0]
    if flat:
        raise IntensityError(f"{at_fault(flat)}: RescaleSlope is 0, which erases the image; export it again")
    wild = [one for one in slices if not (_usable(one.slope or 0.0) and abs(one.intercept or 0.0) <= _MOST_SLOPE)]
    if wild:
        raise IntensityError(
            f"{at_fault(wild)}: RescaleSlope {wild[0].slope:g} and RescaleIntercept {wild[0].intercept:g}, expected a "
            f"slope of {1 / _MOST_SLOPE:g} to {_MOST_SLOPE:g} and an intercept below that; export the series again"
        )
    types = Counter(one.rescale_type for one in slices)
    if len(types) > 1:
        odd = [one for one in slices if one.rescale_type != types.most_common(1)[0][0]]
        raise IntensityError(f"{at_fault(odd)}: mixed RescaleType within one series; keep one kind of slice")
    return [one.slope or 1.0 for one in slices], [one.intercept or 0.0 for one in slices]


def _usable(slope: float) -> bool:
    return 1 / _MOST_SLOPE <= abs(slope) <= _MOST_SLOPE


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _decode(path: Path, stack: Stack, slopes: list[float], intercepts: list[float]) -> NDArray[Any]:
    whole = all(v.is_integer() and _INT16.min <= v <= _INT16.max for v in (*slopes, *intercepts))
    shape = (len(stack.slices), *stack.slices[0].header.matrix)
    require_room(path, math.prod(shape) * (2 if whole else 4))
    out: NDArray[Any] = np.empty(shape, np.int16 if whole else np.float32)
    with warnings.catch_warnings(action="ignore"):
        for index, values in enumerate(_stored_values(stack.slices)):
            out = _place(values, slopes[index], intercepts[index], out, index)
    return out


def _stored_values(slices: Sequence[Slice]) -> Iterator[NDArray[Any]]:
    for header, group in groupby(slices, key=lambda one: one.header):
        frames = [one.frame or 0 for one in group]
        damaged = f"{header.label}: the pixel data cannot be decoded (damaged or truncated); copy it again"
        count = 0
        try:
            # The library reads frames straight from a file, but does not inflate it on the way.
            deflated = header.syntax == DeflatedExplicitVRLittleEndian
            source = dcmread(header.path) if deflated else header.path
            if isinstance(source, Dataset) and len(source.PixelData) > header.promised + 1:
                raise FileError(damaged)
            for values in iter_pixels(source, indices=frames, raw=True):
                if values.shape != header.matrix:
                    raise FileError(damaged)
                count += 1
                yield values
        except DAMAGE as error:
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
