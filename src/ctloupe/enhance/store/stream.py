"""Whole volumes to OME-Zarr: slab by slab, bounded memory, resumable to the byte."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from numpy.typing import NDArray

from ctloupe.enhance.scan_part import ScanPart
from ctloupe.enhance.slice_enhancer import EnhancedSlice, SliceEnhancer
from ctloupe.enhance.store.journal import FinishedSlab, Journal
from ctloupe.enhance.store.stores import SUFFIX, Mark, Stores
from ctloupe.enhance.summary import EnhancementSummary
from ctloupe.foundation.atomic import explained, move_into_place
from ctloupe.foundation.location import Location, Remote
from ctloupe.foundation.threads import give_way
from ctloupe.volume.formats.ome_zarr.remote import publish

AHEAD: Final = 2
"""Slabs that are read before they are needed, and slices that may wait to be written."""


_Write = Future[dict[str, Mark]]
"""A slice that is written by another thread."""


def slabs_of(count: int, size: int, finished: set[int]) -> list[tuple[int, int]]:
    """Runs of at most `size` slices, from the first slice on, of which none is finished."""
    runs: list[tuple[int, int]] = []
    for z in sorted(set(range(count)) - finished):
        if runs and runs[-1][1] == z and z % size:
            runs[-1] = runs[-1][0], z + 1
        else:
            runs.append((z, z + 1))
    return runs


def fill(
    enhancer: SliceEnhancer,
    part: ScanPart,
    slabs: Iterable[tuple[int, int]],
    stores: Stores,
    finished: Callable[[FinishedSlab], None],
    known: dict[int, EnhancedSlice] | None = None,
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
    known
        Slices, as indices of `part`, that were enhanced before; they are taken out of it.
    """
    known = {} if known is None else known
    with _pen() as pen:
        waiting: list[tuple[tuple[int, int], list[_Write], EnhancementSummary]] = []
        unwritten: deque[_Write] = deque()
        for (begin, end), block in _read_ahead(part, slabs, enhancer.neighbours):
            writes, summary = [], EnhancementSummary()
            for z in range(begin, end):
                made = known.pop(z, None)
                if made is None:
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


@contextmanager
def _pen() -> Iterator[ThreadPoolExecutor]:
    """A thread that writes; after a failure, which a server that is gone takes long to have, it writes no more.

    It gives way to the network: compressing a slice takes a fraction of the time in which the next one is computed, and
    finds it where that leaves a core idle.
    """
    with ThreadPoolExecutor(1, initializer=give_way) as pen:
        try:
            yield pen
        except BaseException:
            pen.shutdown(wait=False, cancel_futures=True)
            raise


def _settle(
    run: tuple[int, int],
    writes: list[_Write],
    summary: EnhancementSummary,
    finished: Callable[[FinishedSlab], None],
) -> None:
    written = [write.result() for write in writes]
    marks = {name: tuple(one[name] for one in written) for name in written[0]}
    residual = summary.squares, summary.total, summary.voxels
    finished(FinishedSlab(slices=run, residual=residual, tiles=(summary.tiles, summary.skipped), marks=marks))


def _read_ahead(
    part: ScanPart, slabs: Iterable[tuple[int, int]], beside: int
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


def place(journal: Journal, outputs: dict[str, Location], overwrite: bool) -> None:
    """Give the finished stores their final names, the volume last, and remove the folder.

    After a crash in between, what has its name already is left in place; on a server it is copied there again.
    """
    order = sorted(outputs, key=lambda name: name == "values")
    if isinstance(journal.folder, Remote):
        made_there = [(journal.folder / f"{name}{SUFFIX}", outputs[name]) for name in order]
        publish([(made, final) for made, final in made_there if isinstance(final, Remote)], overwrite)
        journal.close()
        return
    for name in order:
        made, final = journal.folder / f"{name}{SUFFIX}", outputs[name]
        if isinstance(final, Remote):
            continue
        with explained(final):
            if made.is_dir():
                for torn in made.rglob("*.partial"):
                    # Of a write that a kill interrupted; zarr gives a shard its name only when it is whole.
                    torn.unlink()
                move_into_place(made, final, overwrite)
    journal.close()
