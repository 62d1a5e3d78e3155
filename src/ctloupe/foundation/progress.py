"""Who is told how far long work is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """A bar or a line of text; must survive pickling until `start` is called."""

    def start(self, what: str, total: float) -> None:
        """Begin a bar of `total` units."""

    def update(self, done: float, note: str = "") -> None:
        """Say that `done` units are finished."""

    def close(self) -> None:
        """End the bar."""


class Silent:
    """A `Progress` that says nothing."""

    def start(self, what: str, total: float) -> None:
        """Do nothing."""

    def update(self, done: float, note: str = "") -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Tell(Protocol):
    """Says how much of a total is finished."""

    def __call__(self, done: float, note: str = "") -> None:
        """Say that `done` units are finished."""


@contextmanager
def underway(progress: Progress | None, what: str, total: float) -> Iterator[Tell]:
    """Begin a bar and end it whatever happens.

    Parameters
    ----------
    progress
        Who is told; None: nobody.
    what
        Name of the work.
    total
        Number of units.

    Yields
    ------
    Tell
        Function that is told how many units are finished.
    """
    shown = progress or Silent()
    shown.start(what, total)
    try:
        yield shown.update
    finally:
        shown.close()
