"""Slabs sent to the workers of a Dask cluster; each slice, and so each shard, is written by one worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from pydantic import RootModel

from ctloupe.enhance.scan_part import ScanPart
from ctloupe.enhance.slice_enhancer import SliceEnhancer
from ctloupe.enhance.store.journal import FinishedSlab
from ctloupe.enhance.store.packed import packed, unpacked
from ctloupe.enhance.store.scan_file import PartOfFile
from ctloupe.enhance.store.stores import Stores
from ctloupe.enhance.store.stream import fill
from ctloupe.foundation.cluster import RETRIES, connected
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.kept_memory import keep_as_usual, kept_memory
from ctloupe.foundation.location import Location, Remote, location
from ctloupe.foundation.records import validated

Run = tuple[int, int]

_MOST_TOGETHER: Final = 4
"""Slabs of a task at most; they are lost together when a worker is."""

_TASKS_LEFT: Final = 4
"""Tasks for each worker that are still to come when one is made as large as this allows."""

_READY: dict[str, tuple[SliceEnhancer, ScanPart, Stores]] = {}
"""The one slice enhancer that a worker process has loaded, with what it reads and writes."""


def fill_on_cluster(
    address: str,
    enhancer: SliceEnhancer,
    part: ScanPart,
    slabs: list[Run],
    folder: Location,
    record: Callable[[FinishedSlab], None],
    keep: bool,
    file: PartOfFile | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Enhance slabs on the workers of a Dask scheduler.

    The slice enhancer, its statistics taken already, travels to each worker once. Workers read the scan themselves
    where all of them see its file as it is here; otherwise it travels too. They write the store themselves, so it must
    lie on a disk that all of them see under the same name, or on a server that all may write to. A slab whose worker is
    lost is begun again on another, and gives the same bytes.

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
    keep
        Whether workers keep memory that layers give back until a task is done; see `kept_memory`.
    file
        Where the part was read from; None: it is sent.
    tell
        Told how the scan comes to the workers.

    Raises
    ------
    MissingExtraError
        If Dask is not installed.
    OptionError
        If there is no scheduler or it has no workers.
    """
    with connected(address) as client:
        from distributed import as_completed

        token = str(folder if isinstance(folder, Remote) else folder.absolute())
        # Dask would look into every array of the enhancer, once here and once in each worker, and name by their content
        # what nobody else has.
        sent = client.scatter((packed(enhancer), _as_sent(client, part, file, tell)), broadcast=True, hash=False)
        tasks = grouped(slabs, len(client.scheduler_info()["workers"]))
        futures = {client.submit(_some, token, sent, one, keep, pure=False, retries=RETRIES): one for one in tasks}
        for future, answer in as_completed(futures, with_results=True):
            task = futures[future]
            for slab in finished_slabs(answer, (task[0][0], task[-1][1])):
                record(slab)


def grouped(slabs: Sequence[Run], workers: int) -> list[list[Run]]:
    """Put slabs that follow each other into tasks.

    A worker reads and writes beside computing within a task, so that the first ones have several; the last ones have
    one, so that all workers end together.
    """
    tasks, left = list[list[Run]](), deque(slabs)
    while left:
        size = min(_MOST_TOGETHER, max(1, len(left) // (_TASKS_LEFT * max(1, workers))))
        task = [left.popleft()]
        while left and len(task) < size and left[0][0] == task[-1][1]:
            task.append(left.popleft())
        tasks.append(task)
    return tasks


def finished_slabs(answer: Any, run: Run) -> list[FinishedSlab]:
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


def _as_sent(
    client: Any, part: ScanPart, file: PartOfFile | None, tell: Callable[[str], None]
) -> ScanPart | PartOfFile:
    """Return what the workers get: where to read the scan, if all of them can; otherwise the scan."""
    size = np.prod(part.scan.shape) * part.scan.data.dtype.itemsize / 1e6
    sending = f"plan: the scan ({size:.0f} MB) is sent to the workers"
    if file is None:
        tell(sending)
        return part.in_memory()
    seen = [found is True for found in client.run(file.file.is_seen, on_error="return").values()]
    if all(seen):
        tell(f"plan: the workers read the scan themselves ({len(seen)} of {len(seen)} see it)")
        return file
    tell(f"{sending} ({seen.count(True)} of {len(seen)} see {file.file.path} as it is here)")
    return part.in_memory()


class _Answer(RootModel[list[FinishedSlab]]):
    """What a worker sends back of a slab."""


def _some(token: str, sent: tuple[bytes, ScanPart | PartOfFile], slabs: list[Run], keep: bool) -> list[dict[str, Any]]:
    """Enhance slabs in a worker process."""
    if token not in _READY:
        _READY.clear()
        enhancer, part = unpacked(sent[0]), sent[1].read() if isinstance(sent[1], PartOfFile) else sent[1]
        _READY[token] = enhancer, part, Stores.reopen(location(token))
    enhancer, part, stores = _READY[token]
    made: list[FinishedSlab] = []
    keep_as_usual()
    with kept_memory(keep):
        fill(enhancer, part, slabs, stores, made.append)
    return [slab.model_dump(mode="json") for slab in made]
