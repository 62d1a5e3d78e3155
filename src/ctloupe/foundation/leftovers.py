"""Names of what is being written, and what a process that was killed has left under such names."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import time
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import psutil

from ctloupe.foundation.location import Location

_TWO_PART_SUFFIXES: Final = (".nii.gz", ".ome.zarr", ".ome.tiff", ".ome.tif")
_NAME: Final = re.compile(r"\.(?P<stem>.+)\.(?P<kind>partial|replaced)-(?P<pid>\d+)(-(?P<machine>[0-9a-f]{8}))?\b")
_LONGEST_NAME: Final = 255

_REMOVAL_TRIES: Final = 20
_REMOVAL_SECONDS: Final = 0.1


def full_suffix(path: Location) -> str:
    """Return the suffix of `path`, its case kept, where ``.nii.gz``, ``.ome.zarr`` and ``.ome.tif`` count as one."""
    lower = path.name.lower()
    for suffix in _TWO_PART_SUFFIXES:
        if lower.endswith(suffix) and len(lower) > len(suffix):
            return path.name[-len(suffix) :]
    return path.suffix


def hidden_name(path: Path, kind: Literal["partial", "replaced"]) -> Path:
    """Return the hidden sibling of `path` that only this process uses; its suffix is that of `path`.

    The name holds process and machine, so that another run can tell whether its writer still lives. Of a name that
    would become too long for a file system, a digest stands for the stem.
    """
    suffix = full_suffix(path)
    return path.with_name(f".{_stem(path)}.{kind}-{os.getpid()}-{_machine()}{suffix}")


def remove_leftovers(path: Path) -> None:
    """Remove what processes that are dead have left of writing `path`.

    What a process on another machine writes is left alone, since nobody here knows whether it lives. A folder that
    had been put aside to be replaced gets its name back when its successor never came.
    """
    for one, found in _hidden_in(path.parent):
        if found["stem"] == _stem(path) and one.name.endswith(full_suffix(path)) and not _may_live(found):
            if found["kind"] == "replaced" and not os.path.lexists(path):
                one.replace(path)
            else:
                remove(one)


def sweep(folder: Path) -> None:
    """Remove what processes that are dead have left of writing anything in `folder`, not deeper."""
    for one, found in _hidden_in(folder):
        if found["kind"] == "partial" and not _may_live(found):
            remove(one)


def remove(path: Path, still_written: bool = False) -> None:
    """Remove a file or folder, if it is there.

    Parameters
    ----------
    path
        File or folder.
    still_written
        Whether somebody may go on adding files to a folder, as a writer with threads of its own does for a moment after
        its first failure.
    """
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for _ in range(_REMOVAL_TRIES):
        shutil.rmtree(path, ignore_errors=True)
        if not still_written and not path.exists():
            return
        time.sleep(_REMOVAL_SECONDS)
        if not path.exists():
            return


def _hidden_in(folder: Path) -> list[tuple[Path, re.Match[str]]]:
    found = [(one, _NAME.match(one.name)) for one in folder.iterdir()] if folder.is_dir() else []
    return [(one, match) for one, match in found if match]


def _stem(path: Path) -> str:
    suffix = full_suffix(path)
    stem = path.name[: len(path.name) - len(suffix)]
    added = len(".") + len(".replaced-4194304-") + len(_machine())
    if len(os.fsencode(path.name)) + added <= _LONGEST_NAME:
        return stem
    return hashlib.sha256(os.fsencode(stem)).hexdigest()[:16]


def _may_live(found: re.Match[str]) -> bool:
    """Whether the writer of a hidden name may be at work; names of version 0.1 do not say on which machine."""
    return found["machine"] not in (None, _machine()) or psutil.pid_exists(int(found["pid"]))


@lru_cache(maxsize=1)
def _machine() -> str:
    """Eight digits that tell apart the machines, and the containers, that count their processes on their own."""
    try:
        counted_in = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        counted_in = ""
    return hashlib.sha256(f"{platform.node()} {counted_in}".encode()).hexdigest()[:8]
