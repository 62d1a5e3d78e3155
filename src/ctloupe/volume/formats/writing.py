"""`write`: one door for every file format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ctloupe.foundation.atomic import replacing, replacing_together, require_place
from ctloupe.foundation.errors import CtLoupeError, FileError, OptionError
from ctloupe.foundation.leftovers import full_suffix
from ctloupe.foundation.location import Location, Remote, location
from ctloupe.volume.formats.base import Format
from ctloupe.volume.formats.detection import format_of
from ctloupe.volume.formats.registry import format_of_suffix, writable_suffixes
from ctloupe.volume.formats.voxel_types import storable
from ctloupe.volume.volume import Volume


def write(volume: Volume, path: Path | str, overwrite: bool = False, source: Sequence[Path] = ()) -> Path:
    """Write `volume` in the format of the suffix; the file appears whole or not at all.

    Booleans are written as uint8, float16 and float64 as float32, 64-bit integers as int32. No format
    receives a patient field, since a `Volume` has none.

    Parameters
    ----------
    volume
        Lazily read voxels are copied slab by slab where the format allows it.
    path
        Name ending in one of `WRITABLE`; a missing parent folder is made. ``.dicom`` is a folder of DICOM files.
    overwrite
        Whether a file of that name may be replaced.
    source
        Files that the volume was made from, as `source_files` gives them; a DICOM series takes patient and study
        from them, and other formats leave them out.

    Returns
    -------
    Path
        The given `path`.

    Raises
    ------
    OptionError
        If the suffix is unknown.
    FileError
        If `path` exists without `overwrite`, or cannot be written.
    GeometryError, IntensityError
        If the format cannot hold the orientation, or the values are not finite or do not fit.
    """
    path = _on_disk(path)
    kind = require_writable(path, overwrite)
    stored = replace(volume, data=storable(volume.data, path))
    used = tuple(source) if "source" in kind.takes else ()
    files = kind.files(path)
    if len(files) > 1:
        with replacing_together(files, overwrite) as folder:
            _write(kind, stored, folder / path.name, path, used)
    else:
        with replacing(path, overwrite) as temporary:
            _write(kind, stored, temporary, path, used)
    return path


def _write(kind: Format, volume: Volume, temporary: Path, path: Path, source: Sequence[Path]) -> None:
    try:
        kind.write(volume, temporary, source)
    except CtLoupeError as error:
        raise type(error)(str(error).replace(str(temporary), str(path))) from error


def format_of_output(path: Location | str) -> Format:
    """Return the format that `write` uses for `path`, by its suffix.

    Raises
    ------
    OptionError
        If the suffix is unknown.
    """
    path = location(path)
    suffix = full_suffix(path).lower()
    kind = format_of_suffix(suffix)
    if kind is None or suffix not in kind.writable_suffixes:
        raise OptionError(
            f"{path}: unknown output format '{suffix}'; name it with one of {' '.join(writable_suffixes())}"
        )
    if isinstance(path, Remote):
        _require_remote_output(path, kind)
    return kind


def _require_remote_output(path: Remote, kind: Format) -> None:
    if not path.writable:
        raise OptionError(f"{path}: web servers are only read; write to s3:// or gs://, or to a local path")
    if not kind.resumable:
        raise OptionError(f"{path}: only OME-Zarr is written to a server; name it *.ome.zarr")


def _on_disk(path: Location | str) -> Path:
    found = location(path)
    if isinstance(found, Remote):
        raise OptionError(f"{found}: only what enhance makes is written to a server; give a local path, and copy it")
    return found


def require_writable(path: Location | str, overwrite: bool = False) -> Format:
    """Return the format that `write` uses for `path`; raise now what `write` would raise after the work is done.

    Raises
    ------
    OptionError
        If the suffix is unknown.
    FileError
        If `path` exists without `overwrite`, is a folder where a file is to be written, or its folder takes no files.
    """
    path = location(path)
    kind = format_of_output(path)
    if isinstance(path, Remote):
        if not overwrite and path.exists():
            raise FileError(f"{path}: exists already; give `overwrite` to replace it, or another name")
        return kind
    require_place(path)
    if path.is_dir() and not kind.is_folder:
        raise FileError(f"{path}: is a folder, and a file cannot take its place; give another name")
    if path.exists() and not overwrite:
        raise FileError(f"{path}: exists already; give `overwrite` to replace it, or another name")
    return kind


def source_files(scan: Location | str, output: Location | str, series: str | int | None = None) -> list[Path]:
    """Files of `scan` that an output made from it refers to, for `write`; none where its format does not refer.

    Parameters
    ----------
    scan
        File or folder that a volume was read from.
    output
        Where the result is to be written.
    series
        See `read`.
    """
    if "source" not in format_of_output(output).takes:
        return []
    scan = location(scan)
    return [] if isinstance(scan, Remote) else format_of(scan).source_files(scan, series)
