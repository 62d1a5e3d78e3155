"""What can be refused before anything heavy is imported: a person who mistypes a name is told at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctloupe import methods
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.location import Location, Remote
from ctloupe.models.default import INTERPOLATIONS
from ctloupe.models.names import model_path
from ctloupe.volume.collection import holds_several
from ctloupe.volume.formats import format_of, format_of_output, require_writable


def refuse_early(
    scan: Location, outputs: Sequence[Location], model: str | Path, goes_on: bool, overwrite: bool
) -> None:
    """Refuse an input that is not there, and outputs that could not be written in the end.

    Parameters
    ----------
    scan
        Scan, or folder of several; of these the outputs are named later.
    outputs
        The enhanced volume and the maps beside it.
    model
        Path or name of a model, or the name of an interpolation.
    goes_on
        Whether what is there is continued.
    overwrite
        Whether it is replaced.

    Raises
    ------
    OptionError
        If there is no such model.
    FileError
        If there is no such scan, a suffix is that of no format, or an output exists.
    """
    require_scan(scan)
    if str(model) not in methods.names():
        model_path(model, INTERPOLATIONS)
    if holds_several(scan):
        return
    for path in outputs:
        if goes_on:
            format_of_output(path)
        else:
            require_writable(path, overwrite)


def require_scan(scan: Location) -> None:
    """Refuse a scan that is not there.

    Raises
    ------
    FileError
        If nothing is at its path, or nothing readable at its address.
    """
    if isinstance(scan, Remote):
        format_of(scan)
    elif not scan.exists():
        raise FileError(f"{scan}: no such file or folder")
