"""Slabs given to processes of this machine, one a device; each slice, and so each shard, is written by one of them."""

from __future__ import annotations

import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ctloupe.enhance.scan_part import ScanPart
from ctloupe.enhance.slice_enhancer import SliceEnhancer
from ctloupe.enhance.store.cluster import finished_slabs
from ctloupe.enhance.store.journal import FinishedSlab
from ctloupe.enhance.store.packed import lay_down, taken_up
from ctloupe.enhance.store.server import context_of_workers
from ctloupe.enhance.store.stores import Stores
from ctloupe.enhance.store.stream import AHEAD, fill
from ctloupe.foundation.errors import CtLoupeError, OptionError
from ctloupe.foundation.kept_memory import kept_memory
from ctloupe.foundation.location import Location
from ctloupe.foundation.signals import STOPPING

Run = tuple[int, int]

_GIVEN: Final = AHEAD + 2
"""Slabs that a process has at a time: those that it reads ahead, the one in work, and the one being written."""

_LAST: Final = 2
"""Slabs for each process that are cut into slices in the end."""

_SECONDS_TO_END: Final = 10.0

_COPIED: Final = 16
"""Slices that are copied together."""


def require_devices(devices: int, kind: str) -> None:
    """Refuse more devices than there are.

    Parameters
    ----------
    devices
        How many are asked for.
    kind
        ``cpu``, ``cuda`` or ``mps``.

    Raises
    ------
    OptionError
        If there are fewer of that kind; on CPUs each is a process, and there may be as many as cores.
    """
    there = {"cuda": torch.cuda.device_count(), "cpu": os.cpu_count() or 1}.get(kind, 1)
    if not 1 <= devices <= there:
        raise OptionError(f"`devices` {devices}: this machine has {there} of the kind {kind}")


class ToldHere:
    """A function that is told lines of text, and that is silent in another process."""

    def __init__(self, tell: Callable[[str], None] = lambda text: None) -> None:
        self._tell = tell

    def __call__(self, text: str) -> None:
        """Tell a line."""
        self._tell(text)

    def __reduce__(self) -> tuple[type[ToldHere], tuple[()]]:
        return ToldHere, ()


def fill_on_devices(
    devices: int,
    enhancer: SliceEnhancer,
    part: ScanPart,
    slabs: Sequence[Run],
    folder: Location,
    record: Callable[[FinishedSlab], None],
    keep: bool,
) -> None:
    """Enhance slabs in a process for each device.

    The scan lies in a file in `folder` meanwhile, the slice enhancer, its statistics taken already, in one of this
    user's; all of them map both, which so are in memory once.

    Parameters
    ----------
    devices
        Number of processes.
    enhancer, part, slabs
        What enhances which slices.
    folder
        Folder of the unfinished stores.
    record
        Called with what is to be noted of each finished slab.
    keep
        Whether the processes keep memory that layers give back; see `kept_memory`.

    Raises
    ------
    CtLoupeError
        If a process ended by itself, or what it was given cannot be done.
    """
    with (
        TemporaryDirectory(dir=folder if isinstance(folder, Path) else None) as shared,
        # What is unpickled must not lie where others may put files of theirs in its place, as in a folder of outputs.
        TemporaryDirectory() as own,
        _started(min(devices, len(slabs)), enhancer.__class__.__name__) as workers,
    ):
        # Processes begin beside this.
        work = Path(own).absolute() / "work"
        lay_down((enhancer, _laid_down(part, Path(shared).absolute())), work)
        threads = max(1, torch.get_num_threads() // len(workers))
        for number, worker in enumerate(workers):
            with worker.heard():
                worker.connection.send((_visible(number), threads))
                worker.connection.send((work, folder.absolute(), keep))
        waiting = deque(tapered(slabs, len(workers)))
        for _ in range(_GIVEN):
            for worker in workers:
                worker.give(waiting)
        while busy := {worker.connection: worker for worker in workers if worker.given}:
            for connection in wait([*busy]):
                worker = busy[connection]  # type: ignore[index]
                for slab in finished_slabs(worker.answer(), worker.given.popleft()):
                    record(slab)
                worker.give(waiting)


def tapered(slabs: Sequence[Run], workers: int) -> list[Run]:
    """Cut the last slabs into slices, so that workers who each have several in hand end together."""
    few = _LAST * workers
    return [*slabs[:-few], *((z, z + 1) for run in slabs[-few:] for z in range(*run))]


@dataclass
class _Worker:
    """A process, and the slabs that it was given."""

    number: int
    process: BaseProcess
    connection: Connection
    given: deque[Run]
    ended: bool = False

    def give(self, waiting: deque[Run]) -> None:
        """Give it the next slab, or say once that there is none."""
        if self.ended:
            return
        with self.heard():
            self.connection.send(waiting[0] if waiting else None)
        if waiting:
            self.given.append(waiting.popleft())
        else:
            self.ended = True

    def answer(self) -> Any:
        """Return what it says of its next slab; what it failed of is raised here."""
        with self.heard():
            answer = self.connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Say in words that it is no longer there."""
        try:
            yield
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            raise CtLoupeError(
                f"the process of device {self.number} ended by itself, as where memory runs out; give fewer `devices`"
            ) from error


@contextmanager
def _started(count: int, name: str) -> Iterator[list[_Worker]]:
    """Start processes, and wait in the end for those that have all their slabs; whatever happens, none is left."""
    context = context_of_workers()
    workers: list[_Worker] = []
    try:
        for number in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), name=f"{name} {number}", daemon=True)
            process.start()
            theirs.close()
            workers.append(_Worker(number, process, ours, deque()))
        yield workers
        for worker in workers:
            worker.process.join(_SECONDS_TO_END)
    finally:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
            worker.connection.close()


def _visible(number: int) -> str:
    """Name of the device that a process is to see as its only one."""
    named = [one.strip() for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one.strip()]
    return named[number] if number < len(named) else str(number)


def _work(connection: Connection) -> None:
    """Enhance in a process of its own what comes over the connection, until it is closed."""
    for number in STOPPING:
        # A terminal or a cluster asks all processes to stop; the one that started these ends them.
        signal.signal(number, signal.SIG_IGN)
    # Nobody has asked for a device yet in this process, so that it can still be said which there are.
    os.environ["CUDA_VISIBLE_DEVICES"], threads = connection.recv()
    torch.set_num_threads(threads)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            work, folder, keep = connection.recv()
            enhancer, part = taken_up(work)
            with kept_memory(keep):
                fill(
                    enhancer,
                    part,
                    _runs(connection),
                    Stores.reopen(folder),
                    lambda slab: connection.send([slab.model_dump(mode="json")]),
                )
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except (CtLoupeError, OSError) as error:
            connection.send(error)
        except Exception:
            connection.send(RuntimeError(f"in the process of a device: {traceback.format_exc()}"))


def _runs(connection: Connection) -> Iterator[Run]:
    """Slabs as they come."""
    while (run := connection.recv()) is not None:
        yield run


class _OnDisk:
    """An array in a file, which processes map instead of having it sent."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        self.shape, self.dtype = self._array.shape, self._array.dtype

    def __getitem__(self, key: Any) -> Any:
        return self._array[key]

    def __reduce__(self) -> tuple[type[_OnDisk], tuple[str]]:
        return _OnDisk, (self._path,)


def _laid_down(part: ScanPart, folder: Path) -> ScanPart:
    """Write scan and mask into files of a folder."""
    scan = part.scan.with_data(_copied(part.scan.data, folder / "scan.npy"))
    mask: Any = None if part.mask is None else _copied(part.mask, folder / "mask.npy")
    around = tuple(None if one is None else one.with_data(np.asarray(one.data)) for one in part.around)
    return replace(part, scan=scan, mask=mask, around=around)  # type: ignore[arg-type]


def _copied(data: Any, file: Path) -> _OnDisk:
    written = np.lib.format.open_memmap(file, "w+", np.dtype(data.dtype), tuple(data.shape))
    for z in range(0, data.shape[0], _COPIED):
        written[z : z + _COPIED] = data[z : z + _COPIED]
    written.flush()
    del written
    return _OnDisk(str(file))
