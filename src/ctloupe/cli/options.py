"""Options that several verbs share, and how their texts are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.location import Location, is_url, location

Series = Annotated[
    str | None,
    typer.Option(
        help="DICOM series, where a folder holds several: its place in the list, its SeriesNumber, or its UID."
    ),
]
VoxelSize = Annotated[str | None, typer.Option(help="Voxel size Z,Y,X in mm, for TIFF files that do not state theirs.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def numbers(text: str, option: str, count: int, example: str) -> tuple[float, ...]:
    """Read `count` numbers separated by commas.

    Raises
    ------
    OptionError
        If the text is anything else.
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count:
        raise OptionError(f"{option} {text}: expected {count} numbers separated by commas, for instance {example}")
    return values


def as_voxel_size(text: str | None, option: str = "--voxel-size") -> tuple[float, float, float] | None:
    """Read ``--voxel-size Z,Y,X``."""
    if text is None:
        return None
    z, y, x = numbers(text, option, 3, "0.05,0.05,0.05")
    return z, y, x


def as_window(text: str | None) -> tuple[float, float] | None:
    """Read ``--window LOW,HIGH``."""
    if text is None:
        return None
    low, high = numbers(text, "--window", 2, "-1000,200")
    return low, high


def as_quantiles(text: str | None) -> tuple[float, ...]:
    """Read ``--quantiles Q,Q,...``."""
    return () if text is None else numbers(text, "--quantiles", text.count(",") + 1, "0.1,0.9")


def as_bytes(text: str | None, option: str) -> int | None:
    """Read an amount of memory such as ``2GB`` or ``500 MB``.

    Raises
    ------
    OptionError
        If the text is anything else.
    """
    if text is None:
        return None
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        amount = int(TypeAdapter(ByteSize).validate_python(text.strip()))
    except ValidationError:
        amount = 0
    if amount < 1e6:
        raise OptionError(f"{option} {text}: expected an amount of memory, for instance 2GB")
    return amount


def as_location(text: str | None) -> Location | None:
    """Read the path or address of a volume that may be left out."""
    return None if text is None else location(text)


def named_locations(texts: list[str], option: str, alone: str | None = None) -> list[tuple[str, Location]]:
    """Read ``PATH`` or ``NAME=PATH`` several times, where a path may be an address on a server.

    Without a name it is that of the file without suffix, or of the run folder of a model package; a single one is
    called `alone` where that is given.

    Raises
    ------
    OptionError
        If a name is empty.
    """
    from ctloupe.volume.collection import name_of

    found: list[tuple[str, Location]] = []
    for text in texts:
        name, mark, rest = text.partition("=")
        if mark and not is_url(text) and not Path(text).exists():
            if not name.strip() or not rest:
                raise OptionError(f"{option} {text}: expected NAME=PATH")
            found.append((name.strip(), location(rest)))
            continue
        path = location(text)
        own = path.absolute().parent.name if isinstance(path, Path) and path.name == "model" else name_of(path)
        found.append((alone if alone is not None and len(texts) == 1 else own, path))
    return found


def named_paths(texts: list[str], option: str, alone: str | None = None) -> list[tuple[str, Path]]:
    """Read the same where only local paths will do.

    Raises
    ------
    OptionError
        If a name is empty, or something is on a server.
    """
    found = []
    for name, path in named_locations(texts, option, alone):
        if not isinstance(path, Path):
            raise OptionError(f"{option} {path}: is read from this disk only; copy it here")
        found.append((name, path))
    return found
