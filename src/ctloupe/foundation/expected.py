"""How long a study will take: said before it begins, and anew after every training."""

from __future__ import annotations

import time
from collections.abc import Callable

from ctloupe.foundation.amounts import duration_in_words


class Expected:
    """The trainings of a study, and how fast they have gone so far.

    Parameters
    ----------
    trainings
        How many are still to do; what takes no training is not counted.
    minutes
        Minutes that each is given; None where it is counted in steps or epochs.
    clock
        Seconds.
    """

    def __init__(self, trainings: int, minutes: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.trainings, self.minutes, self.done = trainings, minutes, 0
        self._clock, self._begun = clock, clock()

    def in_words(self) -> str:
        """Say what is expected before anything is known of this machine."""
        told = "1 training" if self.trainings == 1 else f"{self.trainings} trainings"
        if self.minutes is None:
            return f"{told}; how long they take is known after the first"
        whole = duration_in_words(60 * self.trainings * self.minutes)
        return f"{told} of {self.minutes:g} min, {whole}, and what measuring takes"

    def after_one_more(self) -> str:
        """Count a training that is finished and measured, and say what is left."""
        self.done += 1
        left = (self._clock() - self._begun) / self.done * (self.trainings - self.done)
        told = f"{self.done} of {self.trainings} trainings done"
        return told if left <= 0 else f"{told}, about {duration_in_words(left)} left"
