"""One process at a time: a lock beside what is written, that says who holds it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from ctloupe.foundation.atomic import explained, require_place
from ctloupe.foundation.errors import FileError

_LARGEST: Final = 4096
"""Bytes of a lock that are read; ours are far shorter."""


class Holder(BaseModel):
    """The process that holds a lock; the content of its file, in JSON.

    Attributes
    ----------
    pid, host
        Number of the process, and name of its machine.
    born
        When the process began, in seconds since 1970 by its machine: numbers of processes are used again.
    since
        When it took the lock, in UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pid: int
    host: str
    born: float
    since: str

    @classmethod
    def this(cls) -> Holder:
        """Describe this process."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(pid=os.getpid(), host=socket.gethostname(), born=psutil.Process().create_time(), since=now)

    @classmethod
    def named(cls, text: bytes, lock: object, path: object) -> Holder:
        """Return who the content of a lock names.

        Raises
        ------
        FileError
            If it names nobody.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise FileError(
                f"{path}: its lock {lock} is damaged; delete it if nothing writes there any more"
            ) from error

    def require_here(self, lock: object, path: object) -> None:
        """Raise `FileError` where the lock is of another machine, of whose processes nobody here knows."""
        if self.host != socket.gethostname():
            raise FileError(
                f"{path}: process {self.pid} on {self.host!r} has been writing it since {self.since}; wait for it, "
                f"or delete {lock} if it no longer runs there"
            )

    @property
    def alive(self) -> bool:
        """Whether the process still runs; asked for on its own machine only."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.born) < 1
        except psutil.NoSuchProcess:
            return False
        except psutil.Error:
            return True


def in_use(path: object, holder: Holder | None) -> FileError:
    """Return what is raised where a process of this machine writes `path`; None: it has not said which."""
    who = "another process" if holder is None else f"process {holder.pid} (since {holder.since})"
    return FileError(f"{path}: {who} is writing it; wait for it, or give another name")


@contextmanager
def locked(path: Path, inside: bool = False) -> Iterator[None]:
    """Be the only process that writes `path`, until the end of the block.

    The lock is the file ``.NAME.lock`` beside `path`, or ``.lock`` inside of it. The operating system holds it, so
    that it ends with the process even when that is killed; where a file system cannot do that, the process that the
    file names counts. A lock that another machine took is never taken over, since nobody here can know whether its
    holder still runs. A missing folder is made, and removed again where nothing else came into it.

    Parameters
    ----------
    path
        File or folder that is written. Links are followed, so that two names of one output have one lock.
    inside
        Whether `path` is a folder that holds its lock.

    Raises
    ------
    FileError
        If another process writes `path`, or the lock cannot be made.
    """
    real = Path(os.path.realpath(path))
    lock = real / ".lock" if inside else real.with_name(f".{real.name}.lock")
    with explained(path):
        require_place(path)
        made = _missing(lock.parent)
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = _taken(lock, path)
    try:
        yield
    finally:
        _let_go(lock, handle)
        with suppress(OSError):
            for folder in made:
                folder.rmdir()


def _taken(lock: Path, path: Path) -> int:
    """Open the lock as its only holder."""
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            # Its last holder had made the folder, and removed it meanwhile.
            lock.parent.mkdir(parents=True, exist_ok=True)
            continue
        try:
            held = _held_by_system(handle)
            if not _is(lock, handle):
                # Its last holder removed it meanwhile.
                os.close(handle)
                continue
            holder = _holder(handle, lock, path)
            _require_free(holder, held, lock, path)
            os.ftruncate(handle, 0)
            os.lseek(handle, 0, os.SEEK_SET)
            os.write(handle, Holder.this().model_dump_json().encode())
            os.fsync(handle)
        except BaseException:
            os.close(handle)
            raise
        return handle


def _let_go(lock: Path, handle: int) -> None:
    # Removed while it is held: whoever opened the file meanwhile then finds that it is no longer the lock. Windows
    # removes no open file.
    if os.name == "nt":
        os.close(handle)
    with suppress(OSError):
        lock.unlink()
    if os.name != "nt":
        os.close(handle)


def _held_by_system(handle: int) -> bool | None:
    """Take the operating system's lock: whether it is ours, or None where there is none to be had."""
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is(lock: Path, handle: int) -> bool:
    try:
        return os.path.samestat(lock.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _holder(handle: int, lock: Path, path: Path) -> Holder | None:
    """Who the file names; nobody where it is empty, as a kill while it was made leaves it."""
    os.lseek(handle, 0, os.SEEK_SET)
    text = os.read(handle, _LARGEST)
    return Holder.named(text, lock, path) if text else None


def _require_free(holder: Holder | None, held: bool | None, lock: Path, path: Path) -> None:
    if holder is not None:
        holder.require_here(lock, path)
    if held is False or (held is None and holder is not None and holder.alive):
        raise in_use(path, holder)


def _missing(folder: Path) -> list[Path]:
    """Folders that are not there yet, the deepest first."""
    return [one for one in (folder, *folder.parents) if not one.exists()]
