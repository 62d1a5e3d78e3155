"""Memory that is given back is kept for what comes next."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_TRIM_THRESHOLD, _MAPPED_AT_MOST = -1, -4
"""Parameters of glibc's `mallopt`."""

_NEVER: Final = 2**31 - 1
_USUAL_TRIM: Final = 128 * 1024
_USUAL_MAPPED: Final = 65536


@contextmanager
def kept_memory(wanted: bool = True) -> Iterator[None]:
    """Let the allocator of glibc keep for a while what is given back; elsewhere nothing is done.

    By default it returns every tensor of more than 32 MB to the system at once, so that each step of a training, and
    each layer of an enhancement, waits for fresh pages again. What is kept is given back at the end.

    Parameters
    ----------
    wanted
        Whether to do so.
    """
    if not wanted or platform.libc_ver()[0] != "glibc":
        yield
        return
    library = ctypes.CDLL(None)
    library.mallopt(_MAPPED_AT_MOST, 0)
    library.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        library.mallopt(_MAPPED_AT_MOST, _USUAL_MAPPED)
        library.mallopt(_TRIM_THRESHOLD, _USUAL_TRIM)
        library.malloc_trim(0)
