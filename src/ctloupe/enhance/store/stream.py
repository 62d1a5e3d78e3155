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
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.enhance.scan_part import ScanPart
from ctloupe.enhance.slice_enhancer import EnhancedSlice, SliceEnhancer
from ctloupe.enhance.store.journal import FinishedSlab, Journal
from ctloupe.enhance.summary import EnhancementSummary
from ctloupe.foundation.atomic import explained, move_into_place
from ctloupe.volume.formats.ome_zarr.writer import OmeZarrWriter
from ctloupe.volume.volume import Volume

AHEAD: Final = 2
"""Slabs that are read before they are needed, and slices that may wait to be written."""

_SUFFIX: Final = ".ome.zarr"


@dataclass(frozen=True)
class Stores:
    """The stores that one enhancement fills: the volume, and by name the maps beside it."""

    values: OmeZarrWriter
    beside: dict[str, OmeZarrWriter]

    @classmethod
    def create(cls, folder: Path, described: Volume, levels: int, beside: dict[str, Volume]) -> Stores:
        """Make empty stores in `folder`, for the grids of (lazy) volumes."""
        values = OmeZarrWriter.like(described, folder / f"values{_SUFFIX}", np.int16, levels)
        maps = {
            name: OmeZarrWriter.like(one, folder / f"{name}{_SUFFIX}", np.float32, levels)
            for name, one in beside.items()
        }
        return cls(values, maps)

    @classmethod
    def reopen(cls, folder: Path) -> Stores:
        """Open those that `create` made."""
        made = {store.name.removesuffix(_SUFFIX): OmeZarrWriter.reopen(store) for store in folder.glob(f"*{_SUFFIX}")}
        return cls(made.pop("values"), made)

    def write(self, z: int, made: EnhancedSlice) -> None:
        """Write slice `z` to the disk, through its caches."""
        self.values.write(z, made.values[None])
        files = self.values.files(z)
        for name, store in self.beside.items():
            store.write(z, made.beside[name][None])
            files += store.files(z)
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
    enhancer: SliceEnhancer,
    part: ScanPart,
    slabs: list[tuple[int, int]],
    stores: Stores,
    finished: Callable[[FinishedSlab], None],
) -> None:
    """Enhance slabs of `part` into the stores; reading, computing and writing overlap.

    Parameters
    ----------
    enhancer
        What enhances a slice.
    part
        What is enhanced.
    slabs
        Runs of slices, as indices of `part`.
    stores
        Where the slices go.
    finished
        Called, in the order of the slabs, with what is to be noted of each after it is on the disk.
    """
    with ThreadPoolExecutor(1) as pen:
        waiting: list[tuple[tuple[int, int], list[Future[None]], EnhancementSummary]] = []
        unwritten: deque[Future[None]] = deque()
        for (begin, end), block in _read_ahead(part, slabs, enhancer.neighbours):
            writes, summary = [], EnhancementSummary()
            for z in range(begin, end):
                made = enhancer.enhance(block[z - begin], part.mask_of(z), part.first + z)
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
    run: tuple[int, int],
    writes: list[Future[None]],
    summary: EnhancementSummary,
    finished: Callable[[FinishedSlab], None],
) -> None:
    for write in writes:
        write.result()
    residual = summary.squares, summary.total, summary.voxels
    finished(FinishedSlab(slices=run, residual=residual, tiles=(summary.tiles, summary.skipped)))


def _read_ahead(
    part: ScanPart, slabs: list[tuple[int, int]], beside: int
) -> Iterator[tuple[tuple[int, int], NDArray[Any]]]:
    """Slabs with their voxels, read by another thread before they are asked for."""
    ready: queue.Queue[Any] = queue.Queue(AHEAD)
    stop = threading.Event()

    def read() -> None:
        try:
            for run in slabs:
                if stop.is_set():
                    return
                ready.put((run, part.planes(*run, beside)))
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


def summarised(journal: Journal) -> EnhancementSummary:
    """Sum of what the journal's lines tell."""
    summary = EnhancementSummary()
    for slab in journal.done:
        summary.add(slab.residual, *slab.tiles)
    return summary


def place(journal: Journal, outputs: dict[str, Path], overwrite: bool) -> None:
    """Give the finished stores their final names, the volume last, and remove the folder.

    After a crash in between, what has its name already is left in place.
    """
    with explained(journal.output):
        for name in sorted(outputs, key=lambda name: name == "values"):
            made = journal.folder / f"{name}{_SUFFIX}"
            if made.is_dir():
                for torn in made.rglob("*.partial"):
                    # Of a write that a kill interrupted; zarr gives a shard its name only when it is whole.
                    torn.unlink()
                move_into_place(made, outputs[name], overwrite)
        journal.close()
