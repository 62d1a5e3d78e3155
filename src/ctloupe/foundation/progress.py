"""Who is told how far long work is."""

from __future__ import annotations

from typing import Protocol


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
