"""Signals that ask a process to stop or to save: all of them do what Ctrl-C does, at the next safe point."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

STOPPING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, what clusters and containers send before they kill, and a terminal that is closed."""

SAVING: Final = tuple(getattr(signal, name) for name in ("SIGUSR1",) if hasattr(signal, name))
"""What SLURM sends some time before the end of a job, where it is asked to."""

_received: list[int] = []


def exit_status() -> int:
    """Exit status of a command that was stopped: 128 and the number of the signal; Ctrl-C where none was noted."""
    return 128 + (_received[0] if _received else signal.SIGINT)


@contextmanager
def interrupting() -> Iterator[None]:
    """Let the first stopping signal raise KeyboardInterrupt in the process of a command, and a second one end it.

    What the process was started to ignore, as ``nohup`` does with SIGHUP, stays ignored. A signal that asks to save
    does nothing where nobody can (`deferred`).
    """
    _received.clear()

    def stop(number: int, frame: FrameType | None) -> None:
        if _received:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        _received.append(number)
        raise KeyboardInterrupt

    with _handled({**dict.fromkeys(STOPPING, stop), **dict.fromkeys(SAVING, lambda number, frame: None)}):
        yield


@contextmanager
def deferred(stop: Callable[[], None], save: Callable[[], None], second_ends: bool = True) -> Iterator[None]:
    """Let the first stopping signal only call `stop`, for work with safe points of its own; a second is not held back.

    Parameters
    ----------
    stop
        Notes the wish to stop at the next safe point.
    save
        Notes the wish to save at the next safe point and to go on.
    second_ends
        False: a second one is like the first, for a process that gets them from its terminal and its parent too.
    """

    def first(number: int, frame: FrameType | None) -> None:
        _received.append(number)
        for one in STOPPING:
            if second_ends and one in before:
                signal.signal(one, before[one])
        stop()

    handlers = {**dict.fromkeys(STOPPING, first), **dict.fromkeys(SAVING, lambda number, frame: save())}
    with _handled(handlers) as before:
        yield


@contextmanager
def _handled(handlers: dict[int, Callable[[int, FrameType | None], None]]) -> Iterator[dict[int, Any]]:
    """Handle signals that are not ignored, and yield what handled them before; only the main thread can do so."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            # None: a handler that Python did not install, and so cannot put back.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handler)
    try:
        yield before
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
