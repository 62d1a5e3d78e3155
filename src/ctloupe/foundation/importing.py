"""Importing large libraries without holding up other threads, or being held up by the collector of garbage."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_TURN_SECONDS: Final = 0.0005
"""Time after which a thread that imports lets another one have its turn."""


@contextmanager
def importing() -> Iterator[None]:
    """Look for no garbage while modules are imported in the block, and let other threads have their turns sooner.

    Modules consist of hundreds of thousands of objects that stay, through which Python's collector else goes again and
    again.
    """
    collected, turn = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(min(turn, _TURN_SECONDS))
    try:
        yield
    finally:
        sys.setswitchinterval(turn)
        if collected:
            gc.enable()
