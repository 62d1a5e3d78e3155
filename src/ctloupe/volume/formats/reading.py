"""`read`: one door for every file format."""

from __future__ import annotations

from ctloupe.foundation.errors import CtLoupeError, OptionError
from ctloupe.foundation.location import Location, Remote, location
from ctloupe.volume.formats.detection import format_of, unreadable
from ctloupe.volume.geometry import Triple
from ctloupe.volume.volume import Volume


def read(path: Location | str, *, series: str | int | None = None, voxel_size: Triple | None = None) -> Volume:
    """Return the volume of a file or folder in any readable format, recognised by content.

    Parameters
    ----------
    path
        NIfTI, MetaImage, NRRD, TIFF or DICOM file, folder of DICOM or TIFF files, or OME-Zarr store; of a store also
        its address, as text that begins with ``s3://``, ``gs://``, ``http://`` or ``https://``.
    series
        Which DICOM series, where a folder holds several.
    voxel_size
        Voxel size (z, y, x) in mm of a TIFF; every other format states its own.

    Raises
    ------
    FileError
        If nothing is there, or it is empty, damaged, or in no readable format.
    GeometryError, IntensityError
        If the reader of the format refuses the geometry or the intensities.
    OptionError
        If `series` or `voxel_size` is given for a format that has no use for it.
    """
    path = location(path)
    kind = format_of(path)
    if voxel_size is not None and "voxel_size" not in kind.takes:
        raise OptionError(f"{path}: a voxel size was given, but {kind.name} states its own; leave it out")
    if series is not None and "series" not in kind.takes:
        raise OptionError(f"{path}: a series was given, but {kind.name} holds one volume; leave it out")
    if isinstance(path, Remote):
        return kind.read_remote(path)
    try:
        return kind.read(path, series, voxel_size)
    except PermissionError as error:
        raise unreadable(path) from error
    except CtLoupeError as error:
        # Slices are named by their place in the folder, and numbers that cannot be by rooms that know no file.
        text = str(error)
        if str(path) not in text and error.option is None:
            alone = path.is_file() and text.startswith(path.name)
            error.args = (f"{path}{text.removeprefix(path.name)}" if alone else f"{path}: {text}", *error.args[1:])
        raise


def coarser(path: Location, volume: Volume) -> tuple[Volume, ...]:
    """Return the coarser copies that are stored with `volume`, which was read from `path`; finer ones first."""
    kind = format_of(path)
    return kind.coarser_remote(path, volume) if isinstance(path, Remote) else kind.coarser(path, volume)
