"""Who is told how far long work is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Protocol, TypeVar

One = TypeVar("One")


class Progress(Protocol):
    """A bar or a line of text; must survive pickling until `start` is called."""

    def start(self, what: str, total: float) -> None:
        """Begin a bar of `total` units; of 0 where nobody knows how many there will be."""

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


_TOLD: Final[ContextVar[Progress | None]] = ContextVar("progress", default=None)
"""Who is told of the work that goes on inside a `shown_on`; nobody outside of one, or inside work that is told of."""


@contextmanager
def shown_on(progress: Progress | None) -> Iterator[None]:
    """Tell `progress` of every `stretch` inside the block, so that what lies between need not pass it on."""
    before = _TOLD.set(progress)
    try:
        yield
    finally:
        _TOLD.reset(before)


@contextmanager
def stretch(what: str, total: float) -> Iterator[Tell]:
    """Begin a stretch of long work; what is long inside of it is not told of again.

    Parameters
    ----------
    what
        Name of the work.
    total
        Number of units.

    Yields
    ------
    Tell
        Function that is told how many units are finished.
    """
    with underway(_TOLD.get(), what, total) as tell, shown_on(None):
        yield tell


def tracked(items: Sequence[One], what: str) -> Iterator[One]:
    """Yield `items`, and tell of each one that it is finished when the next is asked for."""
    with stretch(what, len(items)) as tell:
        for count, one in enumerate(items, 1):
            yield one
            tell(count)
