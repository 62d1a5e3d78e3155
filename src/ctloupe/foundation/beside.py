"""Work on what is read, by threads beside the reading: decoding and arithmetic on arrays let each other go on."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD: Final = 1
"""Pieces a thread that may wait for their turn where nobody says otherwise; each is held in memory."""


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each_beside(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None, ahead: int = _AHEAD
) -> Iterator[Result]:
    """Yield what `work` makes of each item, in their order, while the next items are made.

    Parameters
    ----------
    work
        Function that threads call, each for other items.
    items
        What is worked on; made one after another by the caller's own thread, and few of them are kept.
    threads
        Number of threads; None: one a core, and no more than two, since one thread makes the items.
    ahead
        Items a thread that may wait for their turn: more where many come at once, and then none for a while.
    """
    count = min(2, cores()) if threads is None else threads
    with ThreadPoolExecutor(count) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > ahead * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()
