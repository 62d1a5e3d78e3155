"""How long a peer may learn."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Budget:
    """Processor seconds, of all threads together: on a busy machine a wall clock would give each peer another share.

    Attributes
    ----------
    seconds
        What may be used.
    steps
        Steps that were taken; a peer counts them.
    """

    seconds: float
    steps: int = 0
    _begun: float = field(default_factory=time.process_time)

    @property
    def used(self) -> float:
        """Processor seconds since the budget was made."""
        return time.process_time() - self._begun

    def step(self) -> bool:
        """Whether another step may be taken, which is counted; the first always may."""
        may = self.steps == 0 or self.used < self.seconds
        self.steps += may
        return may
