"""Large compressed NIfTI files, in which no slice can be found alone: inflated once, then read slice by slice."""

from __future__ import annotations

import gzip
import shutil
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, Final

import nibabel as nib
import numpy as np

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.memory import memory
from ctloupe.foundation.progress import Progress

LEAST_BYTES: Final = 1 << 29
"""Volumes below are read into the memory, which is faster."""

_STEP: Final = 1 << 24


def inflated(path: Path, progress: Progress, least_bytes: int = LEAST_BYTES) -> TemporaryDirectory[str] | None:
    """Inflate a large ``.nii.gz`` into a temporary folder, as its only file.

    Parameters
    ----------
    path
        File.
    progress
        Told of compressed megabytes.
    least_bytes
        Volumes of fewer bytes are left alone, unless they would take a quarter of the memory.

    Returns
    -------
    TemporaryDirectory or None
        Folder, which is removed with this object; None where the file is no NIfTI, not compressed, or small.

    Raises
    ------
    FileError
        If the data is damaged, or the disk has not enough room.
    """
    size = _bytes_inflated(path)
    if size is None or size < min(least_bytes, memory().available // 4):
        return None
    free = shutil.disk_usage(gettempdir()).free
    if free < 1.02 * size:
        raise FileError(
            f"{path}: {size / 1e9:.1f} GB when inflated, and {free / 1e9:.1f} GB are free in {gettempdir()}; free some "
            "space, set TMPDIR, or convert the volume to OME-Zarr"
        )
    folder = TemporaryDirectory(prefix="ctloupe-view-")
    progress.start(f"inflating {path.name}", path.stat().st_size / 1e6)
    try:
        with (
            path.open("rb") as packed,
            gzip.open(packed) as source,
            (Path(folder.name) / "volume.nii").open("wb") as to,
        ):
            while block := source.read(_STEP):
                to.write(block)
                progress.update(packed.tell() / 1e6)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        folder.cleanup()
        raise FileError(f"{path}: the compressed data is damaged or cut short ({error}); fetch it again") from error
    except BaseException:
        folder.cleanup()
        raise
    finally:
        progress.close()
    return folder


def _bytes_inflated(path: Path) -> int | None:
    """Bytes of the voxels of a compressed NIfTI by its header; None of anything else."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return None
    try:
        image: Any = nib.load(path)
    except Exception:
        # Whoever reads it says what is wrong with it.
        return None
    return int(np.prod(image.shape, dtype=np.int64) * image.get_data_dtype().itemsize)
