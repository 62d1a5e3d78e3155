"""Slabs sent to the workers of a Dask cluster; each slice, and so each shard, is written by one worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydantic import RootModel

from ctloupe.enhance.scan_part import ScanPart
from ctloupe.enhance.slice_enhancer import SliceEnhancer
from ctloupe.enhance.store.journal import FinishedSlab
from ctloupe.enhance.store.stores import Stores
from ctloupe.enhance.store.stream import fill
from ctloupe.foundation.errors import MissingExtraError, OptionError
from ctloupe.foundation.location import Location, Remote, location
from ctloupe.foundation.records import validated

RETRIES: Final = 5
"""Times that a slab is tried again on another worker after its own was lost."""

_READY: dict[str, tuple[SliceEnhancer, ScanPart, Stores]] = {}
"""The one slice enhancer that a worker process has loaded, with what it reads and writes."""


def fill_on_cluster(
    address: str,
    enhancer: SliceEnhancer,
    part: ScanPart,
    slabs: list[tuple[int, int]],
    folder: Location,
    record: Callable[[FinishedSlab], None],
) -> None:
    """Enhance slabs on the workers of a Dask scheduler.

    The slice enhancer, its statistics taken already, and the scan travel to each worker once; workers write the store
    themselves, so it must lie on a disk that all of them see under the same name, or on a
    server that all may write to. A slab whose worker is lost is
    begun again on another, and gives the same bytes.

    Parameters
    ----------
    address
        Address of the scheduler, for instance ``tcp://127.0.0.1:8786``.
    enhancer, part, slabs
        What enhances which slices.
    folder
        Folder of the unfinished stores.
    record
        Called with what is to be noted of each finished slab.

    Raises
    ------
    MissingExtraError
        If Dask is not installed.
    OptionError
        If there is no scheduler or it has no workers.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise MissingExtraError("`scheduler` needs Dask; install it with: pip install 'ctloupe[cluster]'") from error
    try:
        client = Client(address, timeout="5s")
        client.wait_for_workers(1, timeout=60)
    except (OSError, TimeoutError, ValueError) as error:
        raise OptionError(f"`scheduler` {address}: no scheduler with workers answers there ({error})") from error
    with client:
        token = str(folder if isinstance(folder, Remote) else folder.absolute())
        sent = client.scatter((enhancer, part.in_memory()), broadcast=True)
        futures = {client.submit(_one, token, sent, run, pure=False, retries=RETRIES): run for run in slabs}
        for future, answer in as_completed(futures, with_results=True):
            for slab in finished_slabs(answer, futures[future]):
                record(slab)


def finished_slabs(answer: Any, run: tuple[int, int]) -> list[FinishedSlab]:
    """Return what a worker says that it has made.

    Parameters
    ----------
    answer
        List of plain records; a worker of another version may send anything.
    run
        First slice that it was asked for, and the one after the last.

    Raises
    ------
    OptionError
        If a record is damaged, or the slices are not those that were asked for.
    """
    advice = "let all workers run the version of ctloupe that is run here"
    made = validated(_Answer, answer, "answer of a worker", advice=advice).root
    ends = [run[0], *(slab.slices[1] for slab in made)]
    if [slab.slices[0] for slab in made] != ends[:-1] or ends[-1] != run[1]:
        raise OptionError(f"answer of a worker: expected slices {run[0]} to {run[1]}, found others; {advice}")
    return made


class _Answer(RootModel[list[FinishedSlab]]):
    """What a worker sends back of a slab."""


def _one(token: str, sent: tuple[SliceEnhancer, ScanPart], run: tuple[int, int]) -> list[dict[str, Any]]:
    """Enhance one slab in a worker process."""
    if token not in _READY:
        _READY.clear()
        _READY[token] = *sent, Stores.reopen(location(token))
    enhancer, part, stores = _READY[token]
    made: list[FinishedSlab] = []
    fill(enhancer, part, [run], stores, made.append)
    return [slab.model_dump(mode="json") for slab in made]
