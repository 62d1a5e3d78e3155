"""How long work of many pieces will take: said before it begins, and anew after every piece."""

from __future__ import annotations

import time
from collections.abc import Callable

from ctloupe.foundation.amounts import duration_in_words


class Expected:
    """Pieces of work, and how fast they have gone so far.

    Parameters
    ----------
    count
        How many are still to do; what costs next to nothing is not counted.
    each
        Seconds that each is expected to take; None where nobody knows.
    what
        What a piece is called; more of them with an s.
    clock
        Seconds.
    """

    def __init__(
        self,
        count: int,
        each: float | None,
        what: str = "training",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.count, self.each, self.done = count, each, 0
        self._what, self._clock, self._begun = what, clock, clock()

    def in_words(self) -> str:
        """Say what is expected before anything is known of this machine."""
        told = f"1 {self._what}" if self.count == 1 else f"{self.count} {self._what}s"
        if self.each is None:
            return f"{told}; how long they take is known after the first"
        return f"{told}, about {duration_in_words(self.count * self.each)}"

    def after_one_more(self) -> str:
        """Count a piece that is finished, and say what is left."""
        self.done += 1
        left = (self._clock() - self._begun) / self.done * (self.count - self.done)
        told = f"{self.done} of {self.count} {self._what}s done"
        return told if left <= 0 else f"{told}, about {duration_in_words(left)} left"
