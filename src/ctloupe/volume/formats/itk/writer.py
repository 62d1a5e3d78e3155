"""Writing MetaImage and NRRD through SimpleITK."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ctloupe.foundation.errors import IntensityError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.volume.formats.itk.reader import MODALITY, UNITS, reason_of
from ctloupe.volume.volume import Volume, require_finite

_NOTICE = "ctloupe_notice"


def write_itk(volume: Volume, path: Path) -> None:
    """Write `volume` uncompressed; the voxels of ``.mhd`` go to a ``.raw`` of the same name beside it.

    All voxels are in memory meanwhile, twice for a moment. Booleans become uint8.

    Raises
    ------
    IntensityError
        If a value is NaN or infinite, or SimpleITK does not have the type.
    OSError
        If the disk is full or the write fails.
    """
    path = Path(path)
    values = volume.array()
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    require_finite(values, str(path))
    _require_space(path, values.nbytes)
    try:
        image = sitk.GetImageFromArray(values)
    except TypeError as error:
        raise IntensityError(
            f"{path}: {values.dtype} voxels cannot be written; convert to int16 or float32 first"
        ) from error
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.origin)
    image.SetDirection([cosine for row in volume.direction for cosine in row])
    for key, text in ((MODALITY, volume.modality), (UNITS, volume.units), (_NOTICE, RESEARCH_NOTICE)):
        image.SetMetaData(key, text)
    try:
        sitk.WriteImage(image, str(path), useCompression=False)
    except RuntimeError as error:
        _require_space(path, values.nbytes)
        raise OSError(errno.EIO, reason_of(error)) from error


def _require_space(path: Path, nbytes: int) -> None:
    if shutil.disk_usage(path.parent).free < nbytes:
        raise OSError(errno.ENOSPC, "disk full")
