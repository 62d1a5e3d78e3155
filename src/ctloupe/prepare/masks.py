"""The kinds of mask a person can ask for by name, and masks of their own in files."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import GeometryError, OptionError
from ctloupe.volume.volume import Volume

Mask = NDArray[np.bool_]
MaskKind = Literal["lungs", "specimen", "box", "none", "file"]
NAMED: Final[tuple[str, ...]] = tuple(kind for kind in get_args(MaskKind) if kind != "file")
"""The kinds that are asked for by name; everything else names a file."""


def kind_of(asked: str) -> MaskKind:
    """Tell which kind of mask `asked` means: its own name, or ``file`` for a path."""
    kinds: dict[str, MaskKind] = {"lungs": "lungs", "specimen": "specimen", "box": "box", "none": "none"}
    return kinds.get(asked, "file")


def recorded_kind(recorded: object) -> MaskKind | None:
    """Check the kind that a record names; None where it names none, as older records do.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    if recorded is not None and recorded not in get_args(MaskKind):
        raise ValueError(f"mask {recorded!r}: expected one of {', '.join(get_args(MaskKind))}")
    return cast("MaskKind | None", recorded)


def mask_of(asked: str, volume: Volume, option: str = "mask") -> Mask | None:
    """Make the mask that `asked` names on the grid of `volume`.

    Parameters
    ----------
    asked
        ``lungs``: both lungs of a clinical CT in HU. ``specimen``: the specimen of a µCT. ``box``: the bounding box
        of what is brighter than Otsu's threshold, as ISBI 2021 crops the background. ``none``: every voxel. Anything
        else is the path of a file on the grid of `volume`, in which every voxel other than 0 is inside.
    volume
        The scan.
    option
        Python name of the option that `asked` comes from, for messages.

    Returns
    -------
    bool array of shape (z, y, x), or None for every voxel

    Raises
    ------
    IntensityError
        If nothing of the kind is found in the volume.
    OptionError, FileError, GeometryError
        If the file does not exist, cannot be read or is not on the grid of the volume.
    """
    match kind_of(asked):
        case "lungs":
            from ctloupe.prepare.lungs import lung_mask

            return lung_mask(volume)
        case "specimen":
            from ctloupe.prepare.specimen import specimen_mask

            return specimen_mask(volume)
        case "box":
            from ctloupe.prepare.specimen import threshold_box

            box = np.zeros(volume.shape, bool)
            box[threshold_box(volume)] = True
            return box
        case "none":
            return None
        case "file":
            return mask_file(asked, volume, option)


def mask_file(path: Path | str, volume: Volume, option: str = "mask") -> Mask:
    """Read a mask from a file on the grid of `volume`; every voxel other than 0 is inside.

    Raises
    ------
    OptionError, FileError, GeometryError
        If the file does not exist, cannot be read or is not on the grid of the volume.
    """
    from ctloupe.volume.formats import read

    if not Path(path).exists():
        raise OptionError(f"`{option}` {path}: neither a kind of mask ({', '.join(NAMED)}) nor a file that exists")
    given = read(Path(path))
    if given.shape != volume.shape or not np.allclose(given.affine, volume.affine, atol=1e-3):
        raise GeometryError(
            f"`{option}` {path}: is not on the grid of the scan: its shape {given.shape} or its position differs from "
            f"{volume.shape} of the scan; make the mask on the scan's grid"
        )
    return given.array() != 0
