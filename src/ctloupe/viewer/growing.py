"""A volume that is still being written: what of it is there already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ctloupe.enhance.store.unfinished import JOURNAL, unfinished_folder
from ctloupe.foundation.errors import FileError
from ctloupe.volume.formats import read
from ctloupe.volume.formats.ome_zarr.reader import read_unfinished
from ctloupe.volume.volume import LazyArray, Volume

_STORE = "values.ome.zarr"


def unfinished_store(output: Path) -> Path | None:
    """Store in which an enhancing collects what it will publish as `output`; None where none is going on."""
    store = unfinished_folder(output) / _STORE
    return store if store.is_dir() else None


class Growing:
    """How far the enhancing of an output has come.

    Parameters
    ----------
    output
        Final path of the store.
    count
        Number of its slices.
    """

    def __init__(self, output: Path, count: int) -> None:
        self._output = output
        self._count = count

    def finished(self) -> frozenset[int]:
        """Slices that are on the disk, by the journal; all of them once the store has its final name."""
        if self._output.exists():
            return frozenset(range(self._count))
        try:
            lines = (unfinished_folder(self._output) / JOURNAL).read_text("utf-8").splitlines()
        except OSError:
            return frozenset()
        return frozenset(z for line in lines for z in range(*_slices(line)))


def open_growing(output: Path) -> tuple[Volume, Growing]:
    """Return the volume that is being written as `output`, and what knows how far it has come.

    Raises
    ------
    FileError
        If nothing is being written there.
    """
    store = unfinished_store(output)
    if store is None:
        raise FileError(f"{output}: nothing is being written there")
    begun = read_unfinished(store)
    held = [begun]

    def block(key: tuple[slice, slice, slice]) -> NDArray[Any]:
        if not store.exists() and held[0] is begun:
            held[0] = read(output)
        part: NDArray[Any] = held[0].data[key]
        return part

    data = LazyArray(begun.shape, begun.data.dtype, block, str(output))
    return begun.with_data(data), Growing(output, begun.shape[0])


def _slices(line: str) -> tuple[int, int]:
    """The run of slices that a line of the journal tells of; none where it tells of something else."""
    try:
        first, end = json.loads(line)["says"]["slices"]
        return int(first), int(end)
    except (ValueError, KeyError, TypeError):
        return 0, 0
