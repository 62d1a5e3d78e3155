"""Independent pieces of work, done one after another, by processes of this machine, or by the workers of a cluster."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Final, TypeVar

from ctloupe.foundation.cluster import RETRIES, connected
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.kept_memory import keep_as_usual
from ctloupe.foundation.threads import calculate_alone, share_the_cores

Item = TypeVar("Item")
Result = TypeVar("Result")
Share = Callable[[float], None]
"""Told which share of a piece of work is done, from 0 to 1."""

_TOLD_SECONDS: Final = 0.5
"""Time from one look at what other processes have done to the next."""

_PATIENCE_SECONDS: Final = 5.0
"""Time that a process which was told to stop is given to do so."""

_shares: Any = None
"""What this process, one of several, has done of each piece of work."""
_stopped, _working = threading.Event(), threading.Event()
"""Whether this process, one of several, is to do nothing more, and whether it does anything."""


_unasked = False
"""Whether processes may be begun that nobody has asked for."""


def allow_unasked() -> None:
    """Say that what this process was started with does nothing when it is imported, as every new process does.

    A person's script may do all its work again when it is imported; the command line does not.
    """
    global _unasked
    _unasked = True


def unasked_allowed() -> bool:
    """Whether processes may be begun that nobody has asked for; see `allow_unasked`."""
    return _unasked


class WorkerLost(OptionError):
    """A process was ended from outside."""


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Attributes
    ----------
    processes
        Number of processes of this machine; 1: this one.
    scheduler
        Address of a Dask scheduler whose workers do it instead.
    """

    processes: int = 1
    scheduler: str | None = None

    def each(
        self,
        work: Callable[[Item, Share], Result],
        items: Sequence[Item],
        tell: Callable[[float], None] = lambda done: None,
    ) -> Iterator[Result]:
        """Yield what `work` makes of each item, in their order, whoever is done first.

        Parameters
        ----------
        work
            Function of a module, which other processes import: takes an item, and what to tell of its own progress.
        items
            Pieces of work, which can be sent to other processes as the results can.
        tell
            Told how many are done, the begun ones by their share.

        Raises
        ------
        WorkerLost
            If a process is ended from outside.
        OptionError
            If nobody answers at the scheduler's address.
        """
        if self.scheduler is not None:
            return _on_cluster(self.scheduler, work, items, tell)
        if self.processes > 1 and len(items) > 1:
            return _in_processes(min(self.processes, len(items)), work, items, tell)
        return _here(work, items, tell)


def _here(
    work: Callable[[Item, Share], Result], items: Sequence[Item], tell: Callable[[float], None]
) -> Iterator[Result]:
    for number, item in enumerate(items):
        result = work(item, lambda share, number=number: tell(number + share))  # type: ignore[misc]
        tell(number + 1)
        yield result


def _in_processes(
    count: int, work: Callable[[Item, Share], Result], items: Sequence[Item], tell: Callable[[float], None]
) -> Iterator[Result]:
    # Forked processes would inherit the locks of threads that they do not have.
    context = get_context("spawn")
    shares: Any = context.RawArray("d", len(items))
    before = set(active_children())
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(shares,))
    try:
        futures = [pool.submit(_one, work, number, item) for number, item in enumerate(items)]
        for future in futures:
            yield _awaited(future, lambda: tell(sum(shares)))
        tell(len(items))
    except BrokenProcessPool as error:
        raise WorkerLost(
            f"`processes` {count}: one of them was ended from outside, as happens when memory is short; give fewer"
        ) from error
    finally:
        _end(pool, set(active_children()) - before)


def _end(pool: ProcessPoolExecutor, children: set[BaseProcess]) -> None:
    """Stop the processes of a pool, and wait until none is left."""
    for child in children:
        child.terminate()
    # The pool's own thread waits for its processes. Of two threads that wait for one process, the second may be told
    # that there is none, and take it for alive.
    closing = threading.Thread(target=pool.shutdown, kwargs={"cancel_futures": True}, daemon=True)
    closing.start()
    closing.join(_PATIENCE_SECONDS)
    if closing.is_alive():
        # Where one was stopped before it had begun, some Pythons leave another waiting for work that never comes.
        for child in children:
            child.kill()
        closing.join(_PATIENCE_SECONDS)


def _awaited(future: Future[Result], look: Callable[[], None]) -> Result:
    while not wait([future], timeout=_TOLD_SECONDS).done:
        look()
    return future.result()


def _begin(shares: Any) -> None:
    """Prepare a process: the one that began it stops it, and it neither outlives that nor takes the others' cores."""
    global _shares
    _shares = shares
    share_the_cores()
    calculate_alone()

    def stop(number: int, frame: FrameType | None) -> None:
        # The pool takes what is raised for the end of a piece of work; the process then ends as it does without work,
        # and gives back what libraries have opened.
        _stopped.set()
        if _working.is_set():
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop)
    parent = parent_process()

    def end_with() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=end_with, daemon=True).start()


def _one(work: Callable[[Item, Share], Result], number: int, item: Item) -> Result:
    def tell(share: float) -> None:
        _shares[number] = share

    _working.set()
    try:
        if _stopped.is_set():
            raise KeyboardInterrupt
        result = work(item, tell)
    finally:
        _working.clear()
    tell(1.0)
    return result


def _on_cluster(
    address: str, work: Callable[[Item, Share], Result], items: Sequence[Item], tell: Callable[[float], None]
) -> Iterator[Result]:
    with connected(address) as client:
        futures = [client.submit(_alone, work, item, pure=False, retries=RETRIES) for item in items]
        for number, future in enumerate(futures, start=1):
            result = future.result()
            future.release()
            tell(number)
            yield result


def _alone(work: Callable[[Item, Share], Result], item: Item) -> Result:
    keep_as_usual()
    return work(item, lambda share: None)
