"""Whether the memory holds what a header promises, asked before anything is allocated."""

from __future__ import annotations

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.location import Location
from ctloupe.foundation.memory import memory


def require_room(path: Location, nbytes: int) -> None:
    """Raise `FileError` naming `path` unless the memory that is free now holds `nbytes` bytes of voxels."""
    free = memory().available
    if nbytes > free:
        raise FileError(
            f"{path}: its header promises {nbytes / 1e9:.1f} GB of voxels that are read at once, and "
            f"{free / 1e9:.1f} GB of memory are free; save it as .nii or .ome.zarr, which are read slice by slice"
        )
