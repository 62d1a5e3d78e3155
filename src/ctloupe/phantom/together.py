"""Several phantoms: making one takes one core, so that processes make them beside each other where that is quicker."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final, TypeVar

import torch

from ctloupe.foundation.amounts import duration_in_words
from ctloupe.foundation.beside import cores
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.memory import memory
from ctloupe.foundation.workers import Share, WorkerLost, Workers, unasked_allowed
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom
from ctloupe.volume.formats import write

Item = TypeVar("Item")

_SECONDS: Final = 0.7
"""Seconds for a million fine voxels of a phantom on one usual core, its files included."""
_START_SECONDS: Final = 5.0
"""Seconds until a process has imported what it needs."""
_SHARED: Final = 1.25
"""How much longer a phantom takes beside others: one alone has a second core for a third of the time."""
_BYTES: Final = 70
"""Bytes of memory a fine voxel, of the anatomy that takes most; others take a quarter."""
_PROCESS_BYTES: Final = 5e8
"""Bytes of memory that a process takes before it makes anything."""


@dataclass(frozen=True)
class Wanted:
    """A phantom, and what of it is to be written.

    Attributes
    ----------
    anatomy, size, seed, config
        See `make_phantom`.
    out
        File of the volume, or folder of all of them.
    volume
        Which volume: ``clinical`` or ``micro``; None: all, and what is known of them.
    """

    anatomy: str
    size: tuple[int, int, int]
    seed: int
    config: PhantomConfig | None
    out: Path
    volume: str | None = None


def write_wanted(wanted: Sequence[tuple[str, Wanted]], say: Callable[[str], None] = lambda line: None) -> None:
    """Make phantoms and write what is wanted of them, which replaces what is there; see `make_together`.

    Parameters
    ----------
    wanted
        What is said when it is a phantom's turn, and the phantom.
    say
        Told whose turn it is.
    """
    make_together(_write, wanted, [math.prod(one.size) for _, one in wanted], say)


def _write(one: Wanted) -> None:
    case = make_phantom(one.anatomy, one.size, one.seed, one.config)
    if one.volume is None:
        case.write(one.out, overwrite=True)
    else:
        write(getattr(case, one.volume), one.out, overwrite=True)


def processes_for(voxels: Sequence[int]) -> int:
    """Return how many processes make phantoms of so many fine voxels each; 1 where more would not be quicker.

    No more than there are cores, and than the memory that can be had now holds; and 1 in a person's own script, which
    other processes would import.
    """
    if len(voxels) < 2 or not unasked_allowed():
        return 1
    room = int(memory().available / (_PROCESS_BYTES + _BYTES * max(voxels)))
    count = max(1, min(cores(), len(voxels), room))
    return count if _seconds_by(count, voxels) < _seconds_by(1, voxels) else 1


def in_words(voxels: Sequence[int]) -> str:
    """Say how long phantoms of so many fine voxels will take, and by how many processes if by several."""
    count = processes_for(voxels)
    beside = f", {count} beside each other" if count > 1 else ""
    return f"about {duration_in_words(_seconds_by(count, voxels))}{beside}"


def _seconds_by(count: int, voxels: Sequence[int]) -> float:
    each = [one / 1e6 * _SECONDS for one in voxels]
    return sum(each) if count == 1 else _START_SECONDS + _SHARED * max(sum(each) / count, *each)


def make_together(
    make: Callable[[Item], object],
    items: Sequence[tuple[str, Item]],
    voxels: Sequence[int],
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Make phantoms, each by one call of `make`, in processes beside each other where that is quicker.

    The files are those that one process would make.

    Parameters
    ----------
    make
        Function of a module, which other processes import: makes and writes what an item asks for.
    items
        What is said when it is a phantom's turn, and what `make` is given, which can be sent to other processes.
    voxels
        Fine voxels of each phantom.
    say
        Told whose turn it is.

    Raises
    ------
    OptionError
        If a process is ended from outside.
    """
    lines = [line for line, _ in items]
    count = processes_for(voxels)
    threads = max(1, cores() // count) if count > 1 else None
    made = Workers(count).each(_made, [(make, item, threads) for _, item in items])
    for line in lines[:1]:
        say(line)
    try:
        for following, _ in zip_longest(lines[1:], made):
            if following is not None:
                say(following)
    except WorkerLost as error:
        raise OptionError(
            "a process that made phantoms was ended from outside, as happens when memory is short; end what else takes "
            "memory, and give the same command again"
        ) from error


def _made(piece: tuple[Callable[[Item], object], Item, int | None], tell: Share) -> None:
    make, item, threads = piece
    if threads is not None:
        # More threads than cores wait for each other, and those of torch do so by spinning.
        torch.set_num_threads(threads)
    make(item)
