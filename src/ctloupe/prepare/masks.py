"""The kinds of mask a person can ask for by name, and masks of their own in files."""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.location import Location, is_url, location
from ctloupe.volume.masks import read_mask
from ctloupe.volume.volume import Volume

Mask = NDArray[np.bool_]
MaskKind = Literal["lungs", "specimen", "box", "none", "file"]
NAMED: Final[tuple[str, ...]] = tuple(kind for kind in get_args(MaskKind) if kind != "file")
"""The kinds that are asked for by name; everything else names a file."""


def kind_of(asked: str) -> MaskKind:
    """Tell which kind of mask `asked` means: its own name, or ``file`` for a path."""
    kinds: dict[str, MaskKind] = {"lungs": "lungs", "specimen": "specimen", "box": "box", "none": "none"}
    return kinds.get(asked, "file")


def mask_file(asked: str) -> Location | None:
    """Return the file that `asked` means; None where it is a kind of mask."""
    return location(asked) if kind_of(asked) == "file" else None


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

            return lung_mask(volume, option=option)
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
            if not is_url(asked) and not location(asked).exists():
                raise OptionError(
                    f"`{option}` {asked}: neither a kind of mask ({', '.join(NAMED)}) nor a file that exists"
                )
            return read_mask(asked, volume, option)
