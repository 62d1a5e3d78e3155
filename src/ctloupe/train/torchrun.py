"""What torchrun says to a process that it has started, on one machine or on several."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.signals import STOPPING


@dataclass(frozen=True)
class Torchrun:
    """The place of this process among those that torchrun has started.

    Attributes
    ----------
    rank
        Number of this process among all, from 0.
    processes
        Number of all.
    here
        Number of those on this machine.
    """

    rank: int
    processes: int
    here: int

    @property
    def machines(self) -> int:
        """Number of machines, each with as many processes."""
        return self.processes // self.here


def torchrun() -> Torchrun | None:
    """Return the place of this process where torchrun has started it; else None."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    rank, processes, here = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    return Torchrun(rank, processes, here)


def is_first() -> bool:
    """Whether this process makes the run folder and speaks for all."""
    started = torchrun()
    return started is None or started.rank == 0


def devices_asked_for(devices: int | None) -> int | None:
    """Return the number of devices of a training; where torchrun has started its processes that is their number.

    Raises
    ------
    OptionError
        If another number was asked for.
    """
    started = torchrun()
    if started is None:
        return devices
    if devices not in (None, started.processes):
        raise OptionError(f"`devices` {devices}: torchrun has started {started.processes} processes; leave it out")
    return started.processes


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let signals end the process while it waits for the others, which no handler of Python's could interrupt."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number, handler in before.items():
        if handler not in (signal.SIG_IGN, None):
            signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
