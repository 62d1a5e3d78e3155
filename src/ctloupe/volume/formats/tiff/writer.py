"""Writing OME-TIFF, page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ctloupe.foundation.errors import GeometryError, IntensityError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.volume import geometry
from ctloupe.volume.slabs import slabs_of
from ctloupe.volume.volume import Volume, require_finite

_OME_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")


def write_tiff(volume: Volume, path: Path) -> None:
    """Write `volume` as OME-TIFF, page by page, zlib-compressed; BigTIFF from 4 GB of voxels on.

    Sizes and the position of the first plane are in millimetres, in full precision. Integers pass a
    horizontal predictor; floats do not, since undoing it would need the extra ``tiff``.

    Raises
    ------
    GeometryError
        If the direction is not the identity: TIFF has no place for it.
    IntensityError
        If the type is not one of OME's (8, 16, 32-bit integers, float32, float64) or a value is not finite.
    """
    if np.abs(np.asarray(volume.direction) - np.eye(3)).max() > 1e-9:
        raise GeometryError(
            f"{path}: TIFF cannot hold the orientation {geometry.orientation_code(volume.direction)} of this "
            "volume; write .nii.gz, .mha, .nrrd or .ome.zarr instead"
        )
    dtype = np.dtype(volume.data.dtype)
    if dtype.name not in _OME_TYPES:
        raise IntensityError(
            f"{path}: OME-TIFF cannot hold {dtype.name} voxels; convert to one of {', '.join(_OME_TYPES)}"
        )
    nbytes = int(np.prod(volume.shape)) * dtype.itemsize
    with tifffile.TiffWriter(path, bigtiff=nbytes > (1 << 32) - (1 << 27), ome=True) as writer:
        writer.write(
            _pages_of(volume, str(path)),
            shape=volume.shape,
            dtype=dtype.newbyteorder("="),
            photometric="minisblack",
            compression="zlib",
            predictor=dtype.kind in "iu",
            software="ctloupe",
            metadata=_ome_metadata(volume),
        )


def _ome_metadata(volume: Volume) -> dict[str, Any]:
    ours = {
        "modality": volume.modality,
        "units": volume.units,
        "history": list(volume.history),
        "notice": RESEARCH_NOTICE,
    }
    metadata: dict[str, Any] = {"axes": "ZYX", "Description": json.dumps({"ctloupe": ours})}
    for axis, size in zip("ZYX", volume.spacing, strict=True):
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "mm"}
    first: dict[str, Any] = {}
    for axis, position in zip("XYZ", volume.origin, strict=True):
        first |= {f"Position{axis}": position, f"Position{axis}Unit": "mm"}
    metadata["Plane"] = [first] + [{}] * (volume.shape[0] - 1)
    return metadata


def _pages_of(volume: Volume, source: str) -> Iterator[NDArray[Any]]:
    for _, slab in slabs_of(volume.data):
        require_finite(slab, source)
        yield from slab
