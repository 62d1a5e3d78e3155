"""What `winograd.c` is given to do, and how its work is shared by threads."""

from __future__ import annotations

import ctypes

import torch

from ctloupe.networks.compiled.library import on_threads


class Job(ctypes.Structure):
    """One convolution, as `winograd.c` knows it; addresses are of float32 numbers, or of int64 in tables."""

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


class _Share(ctypes.Structure):
    _fields_ = [("job", ctypes.POINTER(Job)), ("counter", ctypes.POINTER(ctypes.c_int64)), ("sums", ctypes.c_void_p)]


class _Work(ctypes.Structure):
    _fields_ = [
        ("shares", ctypes.POINTER(_Share)),
        *((name, ctypes.c_int64) for name in ("count", "next", "failed")),
        ("lanes", ctypes.c_int32),
    ]


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


def _do(shares: list[_Share], lanes: int) -> None:
    work = _Work((_Share * len(shares))(*shares), len(shares), 0, 0, lanes)
    on_threads("winograd", work, len(shares))
    if work.failed:
        raise MemoryError("out of memory in a convolution")
