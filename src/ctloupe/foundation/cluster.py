"""The workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ctloupe.foundation.errors import MissingExtraError, OptionError

RETRIES: Final = 5
"""Times that a task is tried again on another worker after its own was lost."""


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Yield a client of a Dask scheduler that has at least one worker.

    Parameters
    ----------
    address
        Address of the scheduler, for instance ``tcp://127.0.0.1:8786``.

    Raises
    ------
    MissingExtraError
        If Dask is not installed.
    OptionError
        If there is no scheduler or it has no workers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtraError("`scheduler` needs Dask; install it with: pip install 'ctloupe[cluster]'") from error
    try:
        client = Client(address, timeout="5s")
        client.wait_for_workers(1, timeout=60)
    except (OSError, TimeoutError, ValueError) as error:
        raise OptionError(f"`scheduler` {address}: no scheduler with workers answers there ({error})") from error
    with client:
        yield client
