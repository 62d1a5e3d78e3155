"""The lock of an output on a server: an object beside it that says who writes.

No server holds a lock for a process, so one that was killed leaves its object behind. Of a process of this machine it
can be told whether it lives; of another machine's it cannot, and whoever knows removes the object.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from ctloupe.foundation.errors import CtLoupeError
from ctloupe.foundation.location import Location, Remote
from ctloupe.foundation.lock import Holder, in_use, locked

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
        holder = Holder.named(lock.read_bytes(), lock, output)
    except FileNotFoundError:
        return
    holder.require_here(lock, output)
    left_behind = holder.pid == own.pid and lock not in _HELD
    if holder.alive and not left_behind:
        raise in_use(output, holder)
