"""The networks' code compiled from C, where this installation has it and the processor can run it.

Without it everything is computed by PyTorch.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch

from ctloupe.foundation.compiled import library

FUNCTIONS: Final = ("winograd", "to_one_channel", "normalise")
"""What is called with the same work on several threads."""


@cache
def _library() -> ctypes.CDLL | None:
    return library("_compiled", Path(__file__).parent, FUNCTIONS)


@cache
def registers() -> tuple[int, ...]:
    """Floats of the registers for which this machine has compiled convolutions, the widest first; none: empty."""
    found = _library()
    widest = 0 if found is None else int(found.widest_register())
    # A processor of 16 floats to a register has those of 8 too; those of 4 are of another kind of processor.
    return (16, 8) if widest == 16 else (widest,) if widest else ()


def registers_for(*counts: int) -> int:
    """Floats of the widest registers that numbers of channels fill; 0 if there are none, here or for these numbers."""
    return next((lanes for lanes in registers() if not any(count % lanes for count in counts)), 0)


def is_compiled() -> bool:
    """Whether this installation has the compiled convolutions, whatever the processor."""
    return _library() is not None


def on_threads(function: str, work: ctypes.Structure, count: int) -> None:
    """Call a function of the library with the same work on so many threads, and wait for them."""
    called: Any = getattr(_library(), function)
    if count == 1:
        called(ctypes.byref(work))
    else:
        _threads()(called, work, count)


@cache
def _threads() -> Callable[[Any, ctypes.Structure, int], None]:
    """What calls a function of the library with the same work on several threads, and waits for them."""
    start = _openmp_of_torch()
    if start is not None:
        return lambda function, work, count: start(function, ctypes.byref(work), count, 0)

    pool = ThreadPoolExecutor(thread_name_prefix="compiled")

    def by_pool(function: Any, work: ctypes.Structure, count: int) -> None:
        waiting = [pool.submit(function, ctypes.byref(work)) for _ in range(count - 1)]
        function(ctypes.byref(work))
        for one in waiting:
            one.result()

    return by_pool


def _openmp_of_torch() -> Any:
    """OpenMP's ``GOMP_parallel`` of the library that PyTorch has loaded, or None.

    PyTorch's own threads wait for their next work in a loop for a while, in which they would hold up other threads.
    """
    package = Path(torch.__file__).parent
    for path in [*package.glob("lib/lib*omp*"), *package.parent.glob("torch.libs/lib*omp*")]:
        try:
            found = ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD | os.RTLD_NOW).GOMP_parallel
        except (OSError, AttributeError):
            continue
        found.argtypes, found.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint], None
        return found
    return None
