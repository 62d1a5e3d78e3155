"""Workers that make themselves ready, while nothing here needs torch, so that they can begin before that is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import get_all_start_methods, get_context
from typing import Any, Final

from ctloupe.foundation.cluster import connected

_LIBRARIES: Final = ["ctloupe.enhance.preparation", "ctloupe.enhance.store.processes", "numcodecs.blosc"]
"""Modules that every process needs, which between them import all the large libraries and ask for no device."""


_asked: set[str] = set()
"""Addresses of the schedulers whose workers make themselves ready."""


def context_of_workers() -> Any:
    """Return what starts processes: where it can, of one that has the large libraries, and no device, already."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(_LIBRARIES)
    return context


def start_early() -> None:
    """Let the process from which the others will be started import the large libraries beside what is done here."""
    if "forkserver" in get_all_start_methods():
        from multiprocessing.forkserver import ensure_running

        context_of_workers()
        ensure_running()


@contextmanager
def workers_ready(address: str | None) -> Iterator[None]:
    """Let the workers of a Dask scheduler import what they need beside what is done in the block.

    In a block for the same scheduler within another they are asked already.

    Parameters
    ----------
    address
        Address of the scheduler; None: there is none, and nothing is done.

    Raises
    ------
    MissingExtraError
        If Dask is not installed.
    OptionError
        If there is no scheduler or it has no workers.
    """
    if address is None or address in _asked:
        yield
        return
    with connected(address) as client:
        kept = [client.submit(_ready, workers=[one], pure=False) for one in client.scheduler_info()["workers"]]
        _asked.add(address)
        try:
            yield
        finally:
            _asked.discard(address)
        del kept


def _ready() -> None:
    """Import in a worker what a slice enhancer is made of."""
    for one in _LIBRARIES:
        import_module(one)
