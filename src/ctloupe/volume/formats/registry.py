"""Which file formats there are, and where.

Listing them imports no library of a format. A package outside this one adds a format by an entry point of the group
``ctloupe.formats`` whose value is ``module:Class``.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint

from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.plug_ins import plug_ins
from ctloupe.volume.formats.base import Format

GROUP = "ctloupe.formats"

# In the order in which they are asked whether a file is theirs. DICOM is first, since its free preamble may hold the
# mark of another format, as of TIFF; MetaImage is the last of the files, since its mark is a line somewhere in a text.
_BUILT_IN = {
    "dicom": "ctloupe.volume.formats.dicom.format:Dicom",
    "nrrd": "ctloupe.volume.formats.itk.format:Nrrd",
    "tiff": "ctloupe.volume.formats.tiff.format:Tiff",
    "nifti": "ctloupe.volume.formats.nifti.format:Nifti",
    "metaimage": "ctloupe.volume.formats.itk.format:MetaImage",
    "ome-zarr": "ctloupe.volume.formats.ome_zarr.format:OmeZarr",
}


@cache
def formats() -> tuple[Format, ...]:
    """All formats, this package's first.

    Raises
    ------
    OptionError
        If a plug-in cannot be imported.
    """
    return (
        *(_built_in(where) for where in _BUILT_IN.values()),
        *(_plugged_in(entry) for entry in plug_ins(GROUP) if entry.name not in _BUILT_IN),
    )


def _built_in(where: str) -> Format:
    module, attribute = where.split(":")
    found: Format = getattr(import_module(module), attribute)()
    return found


def _plugged_in(entry: EntryPoint) -> Format:
    try:
        found: Format = entry.load()()
    except (ImportError, AttributeError, TypeError) as error:
        raise OptionError(f"format '{entry.name}' ({entry.value}) cannot be imported: {error}") from error
    return found


def readable_suffixes() -> tuple[str, ...]:
    """Suffixes of the files that `read` takes; it also takes folders."""
    return tuple(dict.fromkeys(suffix for one in formats() for suffix in one.suffixes))


def writable_suffixes() -> tuple[str, ...]:
    """Suffixes that `write` takes."""
    return tuple(dict.fromkeys(suffix for one in formats() for suffix in one.writable_suffixes))


def format_of_suffix(suffix: str) -> Format | None:
    """Return the first format that reads files named with `suffix`, given in lower case; None where there is none."""
    return next((one for one in formats() if suffix in one.suffixes), None)
