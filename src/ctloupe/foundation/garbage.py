"""How often Python's collector goes through what stays."""

from __future__ import annotations

import atexit
import gc
from functools import cache
from typing import Final

_MIDDLE_BEFORE_ALL: Final = 100
"""Collections of what is young that come before one of all objects; Python's own number is 10."""


@cache
def collect_seldom() -> None:
    """Let the collector of this process seldom go through all objects, and no more when the process ends.

    The libraries consist of a million objects that stay: going through them took a tenth of the time of every test and
    half a second of each command's end. What was made lately is looked through as often as before, so that images that
    refer to themselves are given back at once.
    """
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _MIDDLE_BEFORE_ALL)
    atexit.register(gc.freeze)
