"""What was read or computed lately, within a bound of memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any

from numpy.typing import NDArray


class ArrayCache:
    """Arrays by key; those that were not asked for longest go first once all together exceed the bound.

    Parameters
    ----------
    most_bytes
        Bound of their sizes.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.held_bytes = 0
        self._held: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._lock = Lock()

    def held(self, key: Hashable) -> NDArray[Any] | None:
        """Return the array of `key`; None where it is not held."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key]

    def keep(self, key: Hashable, made: NDArray[Any]) -> NDArray[Any]:
        """Keep an array that was not held, and return it, no longer to be changed."""
        made.flags.writeable = False
        with self._lock:
            if key not in self._held and made.nbytes <= self.most_bytes:
                self._held[key] = made
                self.held_bytes += made.nbytes
            while self.held_bytes > self.most_bytes:
                self.held_bytes -= self._held.popitem(last=False)[1].nbytes
        return made

    def forget(self, chosen: Callable[[Any], bool]) -> None:
        """Drop the arrays whose keys are chosen."""
        with self._lock:
            for key in [one for one in self._held if chosen(one)]:
                self.held_bytes -= self._held.pop(key).nbytes
