"""The lock of an output on a server: an object beside it that says who writes.

No server holds a lock for a process, so one that was killed leaves its object behind. Of a process of this machine it
can be told whether it lives; of another machine's it cannot, and whoever knows removes the object.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from pydantic import ValidationError

from ctloupe.foundation.errors import CtLoupeError, FileError
from ctloupe.foundation.location import Location, Remote
from ctloupe.foundation.lock import Holder, locked

_HELD: Final[set[Remote]] = set()
"""Locks that this process holds; any other of its name was left behind when a server was gone."""


@contextmanager
def locked_anywhere(output: Location) -> Iterator[None]:
    """Be the only process that writes `output`, until the end of the block; see `lock.locked`.

    Raises
    ------
    FileError
        If another process writes it, or the lock cannot be made.
    """
    if not isinstance(output, Remote):
        with locked(output):
            yield
        return
    lock = output.with_name(f".{output.name}.lock")
    own = Holder.this()
    # Some servers know no condition for writing, so that it is looked at first; there two that come at once both pass.
    _require_free(lock, output, own)
    if not lock.write_bytes(own.model_dump_json().encode(), new=True):
        _require_free(lock, output, own)
        lock.write_bytes(own.model_dump_json().encode())
    _HELD.add(lock)
    try:
        yield
    finally:
        _HELD.discard(lock)
        # That a server is gone is told by whatever it was needed for.
        with suppress(CtLoupeError):
            lock.unlink()


def _require_free(lock: Remote, output: Remote, own: Holder) -> None:
    try:
        holder = Holder.model_validate_json(lock.read_bytes())
    except FileNotFoundError:
        return
    except ValidationError as error:
        raise FileError(f"{output}: its lock {lock} is damaged; delete it if nothing writes there any more") from error
    if holder.host != socket.gethostname():
        raise FileError(
            f"{output}: process {holder.pid} on {holder.host!r} has been writing it since {holder.since}; wait for it, "
            f"or delete {lock} if it no longer runs there"
        )
    left_behind = holder.pid == own.pid and lock not in _HELD
    if holder.alive and not left_behind:
        raise FileError(
            f"{output}: process {holder.pid} (since {holder.since}) is writing it; wait for it, or give another name"
        )
