"""Volumes in folders: which paths are one volume, and which are folders of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctloupe.foundation.errors import CtLoupeError, OptionError
from ctloupe.foundation.leftovers import full_suffix
from ctloupe.foundation.location import Location, Place, Remote
from ctloupe.volume.formats import READABLE, detect


def volume_paths(paths: Sequence[Place]) -> list[Place]:
    """Expand folders that hold several volumes; a DICOM, TIFF or OME-Zarr folder is one volume itself.

    A place on a server is always one volume.

    Raises
    ------
    OptionError
        If a folder holds nothing readable.
    """
    found: list[Place] = []
    for path in paths:
        if isinstance(path, Remote) or not holds_several(path):
            detect(path)
            found.append(path)
            continue
        inside = sorted(one for one in path.iterdir() if not one.name.startswith(".") and _is_volume(one))
        if not inside:
            raise OptionError(f"{path}: no readable volume in this folder")
        found += inside
    return found


def holds_several(path: Location) -> bool:
    """Whether `path` is a folder that is not itself a volume."""
    return not isinstance(path, Remote) and path.is_dir() and not _is_readable(path)


def name_of(path: Location) -> str:
    """Name of a volume without the suffix of its format."""
    whole = not isinstance(path, Remote) and path.is_dir()
    return path.name if whole and path.suffix != ".zarr" else path.name.removesuffix(full_suffix(path))


def _is_volume(path: Path) -> bool:
    if path.is_dir():
        return _is_readable(path)
    name = path.name.lower()
    return any(name.endswith(suffix) for suffix in READABLE) and not name.endswith(".raw")


def _is_readable(folder: Path) -> bool:
    """Whether a folder is in one of the formats."""
    try:
        detect(folder)
    except CtLoupeError:
        return False
    return True
