"""Reading the volumes of an evaluation: whose voxel size an option gives, and what to do where a file states none."""

from __future__ import annotations

from ctloupe.foundation.errors import GeometryError
from ctloupe.foundation.location import Location
from ctloupe.volume.formats import read
from ctloupe.volume.geometry import Triple
from ctloupe.volume.volume import Volume


def read_micro(path: Location, voxel_size: Triple | None) -> Volume:
    """Read a µCT, whose voxel size is given under a name of its own.

    Raises
    ------
    CtLoupeError
        If it cannot be read; a voxel size that is missing is asked for as ``micro_voxel_size``.
    """
    try:
        return read(path, voxel_size=voxel_size)
    except GeometryError as error:
        raise GeometryError(str(error).replace("`voxel_size`", "`micro_voxel_size`")) from error


def read_stated(path: Location) -> Volume:
    """Read a volume whose file has to state its voxel size, since no option gives it.

    Raises
    ------
    CtLoupeError
        If it cannot be read, or does not state its voxel size.
    """
    try:
        return read(path)
    except GeometryError as error:
        if error.option != "voxel_size":
            raise
        found = str(error).rpartition("; ")[0]
        raise GeometryError(
            f"{found}; write it with its voxel size in it, for instance as *.nii.gz or *.ome.tif"
        ) from error
