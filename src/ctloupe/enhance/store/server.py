"""What starts the processes of several devices; nothing here needs torch, so that it can begin before that is there."""

from __future__ import annotations

from multiprocessing import get_all_start_methods, get_context
from typing import Any, Final

_LIBRARIES: Final = ["ctloupe.enhance.preparation", "ctloupe.enhance.store.processes", "numcodecs.blosc"]
"""Modules that every process needs, which between them import all the large libraries and ask for no device."""


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
