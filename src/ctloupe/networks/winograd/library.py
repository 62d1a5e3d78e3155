"""The compiled code of `winograd.c`, where this installation has it and the processor can run it.

It is built when the package is installed with a C compiler at hand, and is in its wheels. Without it everything is
computed by PyTorch.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import torch


class Job(ctypes.Structure):
    """One convolution, as `winograd.c` describes it; addresses are of float32 numbers, or of int64 in tables."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("image", "kernel", "bias", "skip", "zeros", "out")),
        *((name, ctypes.c_void_p) for name in ("row_of", "column_of", "place_of")),
        *((name, ctypes.c_int64) for name in ("inputs", "outputs", "height", "width", "side", "tiles")),
        *((name, ctypes.c_int64) for name in ("in_image", "in_row", "in_column")),
        *((name, ctypes.c_int64) for name in ("out_image", "out_row", "out_column")),
        *((name, ctypes.c_int64) for name in ("skip_image", "skip_row", "skip_column")),
        *((name, ctypes.c_int64) for name in ("tiles_at_once", "outputs_at_once", "stride")),
        ("slope", ctypes.c_float),
    ]

    tables: tuple[torch.Tensor, ...] = ()
    """What it has addresses of, and nobody else keeps."""


class Norm(ctypes.Structure):
    """One pass of an instance normalisation, as `winograd.c` describes it; addresses are of float32 numbers."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("input", "gradient", "mean", "inverse", "first", "second")),
        *((name, ctypes.c_void_p) for name in ("sums", "out")),
        *((name, ctypes.c_int64) for name in ("images", "pixels", "channels", "pixels_at_once", "next")),
        ("slope", ctypes.c_float),
        ("lanes", ctypes.c_int32),
    ]


class _Share(ctypes.Structure):
    _fields_ = [("job", ctypes.POINTER(Job)), ("counter", ctypes.POINTER(ctypes.c_int64)), ("sums", ctypes.c_void_p)]


class _Work(ctypes.Structure):
    _fields_ = [
        ("shares", ctypes.POINTER(_Share)),
        *((name, ctypes.c_int64) for name in ("count", "next", "failed")),
        ("lanes", ctypes.c_int32),
    ]


@cache
def _library() -> ctypes.CDLL | None:
    paths = (Path(__file__).with_name(f"_compiled{suffix}") for suffix in EXTENSION_SUFFIXES)
    path = next((one for one in paths if one.is_file()), None)
    try:
        return None if path is None else _opened(path)
    except (OSError, AttributeError):
        return None


def _opened(path: Path) -> ctypes.CDLL:
    found = ctypes.CDLL(str(path))
    found.winograd_lanes.restype = ctypes.c_int
    for name in ("winograd_do", "normalise_do"):
        function = getattr(found, name)
        function.argtypes, function.restype = [ctypes.c_void_p], None
    return found


@cache
def registers() -> tuple[int, ...]:
    """Floats of the registers for which this machine has compiled convolutions, the widest first; none: empty."""
    library = _library()
    widest = 0 if library is None else int(library.winograd_lanes())
    # A processor of 16 floats to a register has those of 8 too; those of 4 are of another kind of processor.
    return (16, 8) if widest == 16 else (widest,) if widest else ()


def is_compiled() -> bool:
    """Whether this installation has the compiled convolutions, whatever the processor."""
    return _library() is not None


def convolve(job: Job, lanes: int) -> None:
    """Run a job on as many threads as PyTorch has.

    Raises
    ------
    MemoryError
        If there is not enough memory for what a thread works on.
    """
    # Tiles are taken one after the other by whoever is free: another process may hold one of the cores.
    counter = ctypes.c_int64(0)
    threads = min(torch.get_num_threads(), -(-job.tiles // job.tiles_at_once))
    _do([_Share(ctypes.pointer(job), ctypes.pointer(counter))] * threads, lanes)


def gradient(job: Job, lanes: int) -> torch.Tensor:
    """Sum of the products of transformed tiles of image and gradient, ``(36, inputs, whole blocks of outputs)``.

    Each share has its own tiles, so that the same sums are made each time.

    Raises
    ------
    MemoryError
        If there is not enough memory for what a thread works on.
    """
    count = max(1, min(torch.get_num_threads(), job.tiles // job.tiles_at_once))
    sums = torch.empty(count, 36, job.inputs, -(-job.outputs // (2 * lanes)) * 2 * lanes)
    shares = []
    for at, into in enumerate(sums):
        own = Job.from_buffer_copy(job)
        own.tiles, counter = job.tiles * (at + 1) // count, ctypes.c_int64(job.tiles * at // count)
        shares.append(_Share(ctypes.pointer(own), ctypes.pointer(counter), into.data_ptr()))
    _do(shares, lanes)
    return sums[0] if count == 1 else sums.sum(0)


def normalise(job: Norm) -> None:
    """Run a pass on as many threads as PyTorch has."""
    pieces = job.images * -(-job.pixels // job.pixels_at_once)
    _on_threads(_loaded().normalise_do, job, min(torch.get_num_threads(), pieces))


def _do(shares: list[_Share], lanes: int) -> None:
    work = _Work((_Share * len(shares))(*shares), len(shares), 0, 0, lanes)
    _on_threads(_loaded().winograd_do, work, len(shares))
    if work.failed:
        raise MemoryError("out of memory in a convolution")


def _loaded() -> ctypes.CDLL:
    library = _library()
    assert library is not None
    return library


def _on_threads(function: Any, work: ctypes.Structure, count: int) -> None:
    if count == 1:
        function(ctypes.byref(work))
    else:
        _threads()(function, work, count)


@cache
def _threads() -> Callable[[Any, ctypes.Structure, int], None]:
    """What calls a function of the library with the same work on several threads, and waits for them."""
    start = _openmp_of_torch()
    if start is not None:
        return lambda function, work, count: start(function, ctypes.byref(work), count, 0)

    pool = ThreadPoolExecutor(thread_name_prefix="winograd")

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
