"""Which files a volume is made of, for those who must not write where something is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ctloupe.foundation.errors import CtLoupeError
from ctloupe.foundation.location import Location, Remote
from ctloupe.volume.formats.detection import format_of
from ctloupe.volume.formats.writing import format_of_output


def parts_read(paths: Iterable[Location | None]) -> list[Location]:
    """Files and folders that volumes are read from: the paths, and whatever files their headers name.

    Parameters
    ----------
    paths
        Volumes; None is left out. What is missing or no volume stands for itself, and is refused when it is read.
    """
    return list(dict.fromkeys(_all(paths, lambda path: format_of(path).parts(path))))


def parts_written(paths: Iterable[Location | None]) -> list[Location]:
    """Files and folders that volumes are written to: the paths, and whatever lies beside them.

    Parameters
    ----------
    paths
        Volumes; None is left out, and a path of no format that is written stands for itself.
    """
    return _all(paths, lambda path: format_of_output(path).files(path))


def _all(paths: Iterable[Location | None], files_of: Callable[[Path], Sequence[Path]]) -> list[Location]:
    found: list[Location] = []
    for path in paths:
        if path is None:
            continue
        if isinstance(path, Remote):
            found.append(path)
            continue
        try:
            found += files_of(path)
        except (CtLoupeError, OSError):
            found.append(path)
    return found
