"""Whole volumes to OME-Zarr: slab by slab, bounded memory, resumable to the byte."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctloupe.enhance.exact import Engine, EnhancedSlice
from ctloupe.enhance.patchwise import Patchwise
from ctloupe.enhance.store.journal import Journal
from ctloupe.foundation.atomic import explained, move_into_place
from ctloupe.volume.formats.ome_zarr.writer import OmeZarrWriter
from ctloupe.volume.volume import Volume

AHEAD = 2
"""Slabs that are read before they are needed, and slices that may wait to be written."""


@dataclass
class Summary:
    """What came of an enhancement.

    Attributes
    ----------
    squares, total, voxels
        Of f↓(SR) − scan in HU inside the mask.
    tiles, skipped
        Tiles in all, and those outside the mask that cost nothing.
    found_finished
        Nothing was done, because an earlier run had finished it.
    """

    squares: float = 0.0
    total: float = 0.0
    voxels: int = 0
    tiles: int = 0
    skipped: int = 0
    found_finished: bool = False

    def add(self, residual: tuple[float, float, int], tiles: int, skipped: int) -> None:
        """Take a slice, or several, into account."""
        self.squares += residual[0]
        self.total += residual[1]
        self.voxels += residual[2]
        self.tiles += tiles
        self.skipped += skipped

    def lines(self) -> list[str]:
        """Say it in words."""
        said = []
        if self.voxels:
            rms, bias = (self.squares / self.voxels) ** 0.5, self.total / self.voxels
            said.append(
                f"consistency: mean of each block − scan inside the mask: RMS {rms:.2f} HU, bias {bias:+.2f} HU"
            )
        if self.tiles:
            said.append(f"skipped: {100 * self.skipped / self.tiles:.0f}% of the tiles lie outside the mask")
        return said


@dataclass(frozen=True)
class Stores:
    """The stores that one enhancement fills: the volume and, with samples, its standard deviation."""

    values: OmeZarrWriter
    deviation: OmeZarrWriter | None

    @classmethod
    def create(cls, folder: Path, described: Volume, levels: int, deviation: Volume | None) -> Stores:
        """Make empty stores in `folder`, for the grids of two (lazy) volumes."""
        values = OmeZarrWriter.like(described, folder / "values.ome.zarr", np.int16, levels)
        spread = (
            None
            if deviation is None
            else OmeZarrWriter.like(deviation, folder / "deviation.ome.zarr", np.float32, levels)
        )
        return cls(values, spread)

    @classmethod
    def reopen(cls, folder: Path) -> Stores:
        """Open those that `create` made."""
        spread = folder / "deviation.ome.zarr"
        return cls(
            OmeZarrWriter.reopen(folder / "values.ome.zarr"),
            OmeZarrWriter.reopen(spread) if spread.is_dir() else None,
        )

    def write(self, z: int, made: EnhancedSlice) -> None:
        """Write slice `z` to the disk, through its caches."""
        self.values.write(z, made.values[None])
        files = self.values.files(z)
        if self.deviation is not None and made.deviation is not None:
            self.deviation.write(z, made.deviation[None])
            files += self.deviation.files(z)
        for file in files:
            handle = os.open(file, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def slabs_of(count: int, size: int, finished: set[int]) -> list[tuple[int, int]]:
    """Runs of at most `size` slices, from the first slice on, that are not all finished."""
    runs = [(z, min(count, z + size)) for z in range(0, count, size)]
    return [run for run in runs if not finished.issuperset(range(*run))]


def fill(
    worker: Engine | Patchwise,
    part: Volume,
    mask: NDArray[np.bool_] | None,
    first: int,
    slabs: list[tuple[int, int]],
    stores: Stores,
    finished: Callable[[dict[str, Any]], None],
) -> None:
    """Enhance slabs of `part` into the stores; reading, computing and writing overlap.

    Parameters
    ----------
    worker
        What enhances a slice.
    part, mask
        The scan, or the part of it to enhance.
    first
        Index in the whole scan of the part's first slice.
    slabs
        Runs of slices, as indices of `part`.
    stores
        Where the slices go.
    finished
        Called, in the order of the slabs, with the journal's line of each after it is on the disk.
    """
    with ThreadPoolExecutor(1) as pen:
        waiting: list[tuple[tuple[int, int], list[Future[None]], Summary]] = []
        unwritten: deque[Future[None]] = deque()
        for (begin, end), block in _read_ahead(part, slabs):
            writes, summary = [], Summary()
            for z in range(begin, end):
                made = worker.enhance(block[z - begin], None if mask is None else mask[z], first + z)
                summary.add(made.residual, made.tiles, made.skipped)
                if len(unwritten) == AHEAD:
                    unwritten.popleft().result()
                writes.append(pen.submit(stores.write, z, made))
                unwritten.append(writes[-1])
            waiting.append(((begin, end), writes, summary))
            if len(waiting) > 1:
                _settle(*waiting.pop(0), finished)
        for one in waiting:
            _settle(*one, finished)


def _settle(
    run: tuple[int, int], writes: list[Future[None]], summary: Summary, finished: Callable[[dict[str, Any]], None]
) -> None:
    for write in writes:
        write.result()
    residual = [summary.squares, summary.total, summary.voxels]
    finished({"slices": list(run), "residual": residual, "tiles": [summary.tiles, summary.skipped]})


def _read_ahead(part: Volume, slabs: list[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], NDArray[Any]]]:
    """Slabs with their voxels, read by another thread before they are asked for."""
    ready: queue.Queue[Any] = queue.Queue(AHEAD)
    stop = threading.Event()

    def read() -> None:
        try:
            for run in slabs:
                if stop.is_set():
                    return
                ready.put((run, np.asarray(part.data[run[0] : run[1]])))
            ready.put(None)
        except BaseException as error:
            ready.put(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        while (found := ready.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        stop.set()
        while thread.is_alive():
            # A reader that waits for room in the queue must be let out.
            try:
                ready.get(timeout=0.05)
            except queue.Empty:
                continue


def summarised(journal: Journal) -> Summary:
    """Sum of what the journal's lines tell."""
    summary = Summary()
    for line in journal.done:
        squares, total, voxels = line["residual"]
        summary.add((squares, total, voxels), *line["tiles"])
    return summary


def place(journal: Journal, outputs: dict[str, Path], overwrite: bool) -> None:
    """Give the finished stores their final names, the volume last, and remove the folder.

    After a crash in between, what has its name already is left in place.
    """
    with explained(journal.output):
        for name in ("deviation", "values"):
            made = journal.folder / f"{name}.ome.zarr"
            if name in outputs and made.is_dir():
                for torn in made.rglob("*.partial"):
                    # Of a write that a kill interrupted; zarr gives a shard its name only when it is whole.
                    torn.unlink()
                move_into_place(made, outputs[name], overwrite)
        journal.close()
