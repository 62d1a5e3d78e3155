"""The series of a folder: listed as their headers describe them, and one of them chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ctloupe.foundation.errors import OptionError
from ctloupe.volume import geometry
from ctloupe.volume.formats.dicom.grid import TOUCHING_MM, typical_gap
from ctloupe.volume.formats.dicom.headers import Slice, grouped_series

_LISTED: Final = 12
_LONGEST: Final = 40
"""Most characters that are told of a description, which may be anything."""


@dataclass(frozen=True)
class SeriesInfo:
    """One image series of a folder, as its headers describe it; nothing is checked yet.

    Attributes
    ----------
    key : str
        What selects it: ``"1"`` to ``"n"``, ordered by SeriesNumber, then by SeriesInstanceUID.
    number : int or None
        SeriesNumber of its files.
    n_files : int
        Number of its files.
    shape : (z, y, x)
        Number of slices, rows and columns; those of the first slice where they differ.
    modality, description, kernel : str
        Code of the modality, for instance ``"CT"``, SeriesDescription and ConvolutionKernel; empty where absent.
    spacing : (z, y, x) in mm, or None
        Distance of the slices and size of the pixels; None where the headers do not tell.
    files : tuple of Path
        Files in order of their names.
    """

    key: str
    number: int | None
    n_files: int
    shape: tuple[int, int, int]
    modality: str
    description: str
    kernel: str
    spacing: geometry.Triple | None
    files: tuple[Path, ...]


def list_series(path: Path) -> list[SeriesInfo]:
    """List the image series of a folder or file, without checking them.

    Files without an image (DICOMDIR, reports, structure sets) are left out. Subfolders are searched only
    where the folder itself holds no DICOM file.

    Raises
    ------
    FileError
        If there is no DICOM image, or a file is damaged.
    """
    return [_info(index, group) for index, group in enumerate(grouped_series(Path(path)).series, 1)]


def _info(index: int, slices: Sequence[Slice]) -> SeriesInfo:
    first = slices[0]
    step = first.thickness
    if len(slices) > 1 and first.orientation and all(one.position for one in slices):
        normal = np.cross(first.orientation[:3], first.orientation[3:])
        gaps = np.diff(np.sort(np.array([one.position for one in slices]) @ normal))
        step = typical_gap(gaps[gaps > TOUCHING_MM])
    pixel = first.pixel_spacing
    files = tuple(dict.fromkeys(one.header.path for one in slices))
    return SeriesInfo(
        key=str(index),
        number=first.header.number,
        n_files=len(files),
        shape=(len(slices), *first.header.matrix),
        modality=first.header.modality,
        description=first.header.description,
        kernel=first.header.kernel,
        spacing=(step, pixel[0], pixel[1]) if step and pixel else None,
        files=files,
    )


def _described(group: tuple[int, list[Slice]]) -> str:
    info = _info(*group)
    z, y, x = info.shape
    size = "×".join(f"{value:.4g}" for value in info.spacing) + " mm" if info.spacing else "unknown"
    number = "" if info.number is None else f" (SeriesNumber {info.number})"
    named = f", '{info.description[:_LONGEST]}'" if info.description else ""
    kernel = f", kernel {info.kernel[:_LONGEST]}" if info.kernel else ""
    return f"{info.key}{number}: {info.modality or 'no modality'}{named}, {z} slices of {y}×{x}, spacing {size}{kernel}"


def selected(path: Path, groups: list[list[Slice]], series: str | int | None) -> tuple[list[Slice], tuple[str, ...]]:
    """Return the slices of the series that is asked for, and what to say of the choice.

    Parameters
    ----------
    path
        Folder or file, for messages.
    groups
        Slices of each series, in the order of their numbers.
    series
        Index in `groups` from 1 on, SeriesNumber or SeriesInstanceUID; None where there is one alone. A number that is
        an index is taken as one.

    Raises
    ------
    OptionError
        If there are several series and `series` does not say which, or it names none, or several.
    """
    found = "; ".join(_described(group) for group in enumerate(groups[:_LISTED], 1))
    found += f"; and {len(groups) - _LISTED} more" if len(groups) > _LISTED else ""
    if series is None:
        if len(groups) == 1:
            return groups[0], ()
        raise OptionError(f"{path}: holds {len(groups)} series, expected one; choose with `series` N ({found})")
    wanted = str(series).strip()
    numbered = [group for group in groups if wanted == str(group[0].header.number)]
    for index, group in enumerate(groups, 1):
        if wanted in (str(index), group[0].header.uid):
            others = [one for one in numbered if one is not group]
            told = f"`series` {wanted} is number {wanted} of the list, not the one whose SeriesNumber is {wanted}"
            return group, (f"{told} ({found})",) if others else ()
    if len(numbered) == 1:
        return numbered[0], ()
    # A UID can lead to a person, so only an index is repeated.
    name = wanted if wanted.lstrip("-").isdigit() else "as given"
    how = f"{len(numbered)} series have this SeriesNumber" if numbered else "no such series"
    raise OptionError(f"`series` {name}: {how} in {path}; choose with `series` N ({found})")
