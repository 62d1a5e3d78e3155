"""Slabs sent to the workers of a Dask cluster; each slice, and so each shard, is written by one worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ctloupe.enhance.store.stream import Stores, fill
from ctloupe.foundation.errors import MissingExtraError, OptionError

if TYPE_CHECKING:
    from ctloupe.enhance.job import Job

RETRIES: Final = 5
"""Times that a slab is tried again on another worker after its own was lost."""

_READY: dict[str, tuple[Any, Any, Any, Stores]] = {}
"""In a worker process: the one engine it has loaded, with what it reads and writes."""


def fill_on_cluster(
    address: str,
    job: Job,
    worker: Any,
    slabs: list[tuple[int, int]],
    folder: Path,
    record: Callable[[dict[str, Any]], None],
) -> None:
    """Enhance slabs on the workers of a Dask scheduler.

    The engine, its statistics taken already, and the scan travel to each worker once; workers write the store
    themselves, so it must lie on a disk that all of them see under the same name. A slab whose worker is lost is
    begun again on another, and gives the same bytes.

    Parameters
    ----------
    address
        Of the scheduler, for instance ``tcp://127.0.0.1:8786``.
    job, worker, slabs
        What to do; `worker` is the engine.
    folder
        Of the unfinished stores.
    record
        Called with the journal's line of each finished slab.

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
        token = str(folder.absolute())
        engine = client.scatter((worker, np.asarray(job.part_mask) if job.mask is not None else None), broadcast=True)
        part = client.scatter(job.part.with_data(np.asarray(job.part.data)), broadcast=True)
        futures = [
            client.submit(_one, token, engine, part, job.region[0].start, run, pure=False, retries=RETRIES)
            for run in slabs
        ]
        for _, lines in as_completed(futures, with_results=True):
            for line in lines:
                record(line)


def _one(token: str, engine: Any, part: Any, first: int, run: tuple[int, int]) -> list[dict[str, Any]]:
    """Enhance one slab in a worker process."""
    if token not in _READY:
        _READY.clear()
        worker, mask = engine
        _READY[token] = worker, mask, part, Stores.reopen(Path(token))
    worker, mask, part, stores = _READY[token]
    lines: list[dict[str, Any]] = []
    fill(worker, part, mask, first, [run], stores, lines.append)
    return lines
