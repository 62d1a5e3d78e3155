"""Which format a file or folder has: its content decides, and a name only helps to say what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.leftovers import full_suffix
from ctloupe.foundation.location import Location, Remote, location
from ctloupe.volume.formats.base import HEAD_BYTES, Format
from ctloupe.volume.formats.registry import format_of_suffix, formats, readable_suffixes


def detect(path: Location | str) -> str:
    """Name of the format of a file or folder; see `format_of`."""
    return format_of(path).name


def format_of(path: Location | str) -> Format:
    """Return the format of a file or folder, or of a place on a server, by content.

    Raises
    ------
    FileError
        If nothing is there, or it is empty or in no readable format.
    """
    path = location(path)
    if isinstance(path, Remote):
        return _of_remote(path)
    try:
        if path.is_dir():
            return _of_folder(path)
        if not path.exists():
            raise FileError(f"{path}: no such file or folder")
        if not path.is_file():
            raise FileError(f"{path}: neither a file nor a folder; {_readable()}")
        if path.stat().st_size == 0:
            raise FileError(f"{path}: the file is empty; {_readable()}")
        found = _of_file(path, formats())
    except PermissionError as error:
        raise unreadable(path) from error
    if found is not None:
        return found
    named = format_of_suffix(full_suffix(path).lower())
    fault = "in no readable format" if named is None else f"named as {named.name}, but damaged or something else"
    raise FileError(f"{path}: {fault}; {_readable()}")


def _of_remote(path: Remote) -> Format:
    for one in formats():
        if one.recognises_remote(path):
            return one
    raise FileError(
        f"{path}: nothing readable is there; expected an OME-Zarr store (*.ome.zarr), or one inside of it such as "
        f"{path.name}/0, that is whole; other formats are read from a disk only"
    )


def unreadable(path: Path) -> FileError:
    """Return what to say of a file that this user may not read."""
    return FileError(f"{path}: no permission to read it; ask its owner, or copy it")


def _of_file(path: Path, candidates: Iterable[Format]) -> Format | None:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return next((one for one in candidates if one.recognises(path, head)), None)


def _of_folder(folder: Path) -> Format:
    for one in formats():
        if one.recognises(folder, b""):
            return one
    files = list(_visible(folder.iterdir()))
    sliced = [one for one in formats() if one.holds_slices]
    found = {kind for file in files if (kind := _of_file(file, formats())) in sliced}
    if len(found) > 1:
        kinds = " and ".join(sorted(one.title for one in found if one is not None))
        raise FileError(f"{folder}: holds {kinds} files together; put one kind in a folder of its own")
    for kind in found:
        if kind is not None:
            return kind
    below = [one for one in sliced if one.searched_below]
    for file in _visible(folder.rglob("*")):
        kind = _of_file(file, below)
        if kind is not None:
            return kind
    kinds = " or ".join(one.title for one in sliced)
    named = [file.name for file in files if full_suffix(file).lower() in readable_suffixes()]
    if named:
        raise FileError(f"{folder}: a folder without {kinds} files; name one file of it, as {named[0]}")
    raise FileError(f"{folder}: the folder holds {len(files)} files, none of them {kinds}; {_readable()}")


def _visible(entries: Iterable[Path]) -> Iterator[Path]:
    return (file for file in sorted(entries) if not file.name.startswith(".") and file.is_file())


def _readable() -> str:
    kinds = " or ".join(one.title for one in formats() if one.holds_slices)
    return f"readable are {' '.join(readable_suffixes())} and folders of {kinds} files"
