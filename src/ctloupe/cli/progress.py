"""Progress of long work: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from typing import Any

from ctloupe.cli.flags import as_flags
from ctloupe.foundation.foreign_text import printable
from ctloupe.foundation.progress import Tell, underway

PLAIN_SECONDS = 5.0


class ConsoleProgress:
    """Tells standard error how far the work is.

    Nothing is opened before `start`, so that the object can be sent to another process first.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._what = ""
        self._total = 1.0
        self._begun = self._said = 0.0

    def start(self, what: str, total: float) -> None:
        """Begin a bar called `what` of `total` units; of 0 where nobody knows how many there will be."""
        self._what, self._total = what, total
        self._begun = self._said = time.monotonic()
        if not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self._bar.start()
        self._task = self._bar.add_task(what, total=total or None, note="")

    def update(self, done: float, note: str = "") -> None:
        """Say that `done` of the total is finished."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)
            return
        now = time.monotonic()
        if now - self._said < PLAIN_SECONDS and (done < self._total or not self._total):
            return
        self._said = now
        if not self._total:
            print(f"{self._what}: {note or f'{done:g}'} so far", file=sys.stderr, flush=True)
            return
        share = done / self._total
        left = (now - self._begun) * (1 - share) / share if share > 0 else float("inf")
        time_left = f", about {left:.0f} s left" if 0 < left < float("inf") else ""
        print(
            f"{self._what}: {100 * share:.0f}%{time_left}{', ' + note if note else ''}",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def progress(label: str, total: float) -> AbstractContextManager[Tell]:
    """Show long work: ``with progress("reading", 40) as tell: tell(1)`` says that 1 of 40 is finished."""
    return underway(ConsoleProgress(), label, total)


def say(text: str) -> None:
    """Print a line for people on standard error, so that standard output stays for results."""
    print(as_flags(printable(text)), file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Print a line of the result on standard output."""
    print(printable(text), flush=True)
