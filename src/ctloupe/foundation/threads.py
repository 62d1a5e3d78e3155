"""Threads and processes that share the cores of a machine without standing in each other's way."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import Final

_NICENESS: Final = 15
"""How much less urgent a thread is that gives way; the mildest is 0, the most 19."""

_WAITING: Final = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
"""What makes threads of OpenMP sleep while they wait for each other, by the names that its libraries read."""

_COMPRESSING: Final = "ZARR_THREADING__MAX_WORKERS"
"""Number of threads in which zarr compresses the chunks of an array, by the name that it reads."""

_CALCULATING: Final = "OPENBLAS_NUM_THREADS"
"""Number of threads that NumPy's linear algebra uses for one product, by the name that its library reads."""


def share_the_cores() -> None:
    """Let threads of OpenMP sleep while they wait for each other, and half as many compress as there are cores.

    A thread that spins holds a core that another process, or a thread that writes, could use. The libraries read this
    once, so it has to be called before they are imported; later it does nothing. What the user has set stays.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in _WAITING):
        os.environ.update(_WAITING)
    if "zarr" not in sys.modules:
        os.environ.setdefault(_COMPRESSING, str(max(1, (os.cpu_count() or 1) // 2)))


def calculate_alone() -> None:
    """Let NumPy's linear algebra stay in the thread that asks for it, where threads share the work already.

    Its own threads spin between one product and the next, and small products are no quicker by them. The library reads
    this once, so it has to be called before NumPy is imported; later it does nothing. What the user has set stays.
    """
    if "numpy" not in sys.modules:
        os.environ.setdefault(_CALCULATING, "1")


def waits_passively() -> bool:
    """Whether threads of OpenMP are told to sleep while they wait."""
    policy, spins, block = (os.environ.get(name, "").strip().upper() for name in _WAITING)
    return policy == "PASSIVE" or spins == "0" or block == "0"


def give_way() -> None:
    """Let the calling thread, and those that it starts, run where no other of the machine wants to.

    Only Linux knows threads of different urgency; elsewhere this does nothing.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
