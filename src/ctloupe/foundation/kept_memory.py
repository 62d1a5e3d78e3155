"""Memory that is given back is kept for what comes next."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

_TRIM_THRESHOLD, _MAPPED_FROM, _MAPPED_AT_MOST = -1, -3, -4
"""Parameters of glibc's `mallopt`."""

_NEVER: Final = 2**31 - 1
_USUAL_MAPPED: Final = 65536
_USUAL_SIZE: Final = 32 * 2**20
"""What glibc itself comes to after the first large array, unless it was told something: what is smaller it keeps."""


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
    library = _glibc()
    if not wanted or library is None:
        yield
        return
    library.mallopt(_MAPPED_AT_MOST, 0)
    library.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        keep_as_usual()
        library.malloc_trim(0)


def keep_as_usual() -> None:
    """Let the allocator of glibc keep arrays of up to 32 MB that are given back, as it does if it was told nothing.

    Dask tells it in the environment of its workers to return all of it at once, by which arrays of every size wait for
    fresh pages.
    """
    library = _glibc()
    if library is not None:
        library.mallopt(_MAPPED_AT_MOST, _USUAL_MAPPED)
        library.mallopt(_MAPPED_FROM, _USUAL_SIZE)
        library.mallopt(_TRIM_THRESHOLD, 2 * _USUAL_SIZE)


@cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
