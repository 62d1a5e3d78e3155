"""What an enhancement will cost, said before it begins: tiles, memory, disk, time."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from ctloupe.enhance.enhanced_volume import levels_of
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.scan_part import Mask, ScanPart
from ctloupe.enhance.slice_enhancer import EnhancedSlice, SliceEnhancer
from ctloupe.enhance.tiling import fixed_bytes
from ctloupe.foundation.amounts import duration_in_words
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.location import Location, Remote
from ctloupe.volume.formats.base import Format

COMPRESSION: Final = 1.5
"""Taken for granted when the disk is checked; enhanced chest CT compresses better than this."""


@dataclass(frozen=True)
class Plan:
    """What is about to be done.

    Attributes
    ----------
    slices, fine
        Number of slices, and shape (z, y, x) of the result.
    slab
        Slices that are read, enhanced and recorded together.
    tile
        Rows and columns of a tile on the scan's grid; None when slices are not cut.
    memory
        Estimated largest use in bytes.
    disk
        Bytes asked for on the disk.
    seconds
        Estimated time.
    processes, threads
        Processes that compute on the CPU, and the threads of each; 0 threads: another device does.
    passive
        Whether these sleep while they wait.
    """

    slices: int
    fine: tuple[int, int, int]
    slab: int
    tile: tuple[int, int] | None
    memory: float
    disk: float
    seconds: float
    processes: int = 1
    threads: int = 0
    passive: bool = True

    def lines(self) -> list[str]:
        """Say it in words."""
        at_a_time = min(self.slab, self.slices)
        cut = "whole slices" if self.tile is None else f"tiles of {self.tile[0]}×{self.tile[1]} scan voxels"
        return [
            f"plan: {self.slices} slices to {self.fine[2]}×{self.fine[1]} pixels, {at_a_time} at a time, {cut}",
            f"plan: memory about {self.memory / 1e9:.1f} GB, disk up to {self.disk / 1e9:.2f} GB, "
            f"time about {duration_in_words(self.seconds)}",
            *([self._sharing()] if self.threads else []),
        ]

    def _sharing(self) -> str:
        """Say who shares the cores, and how."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        who = threads if self.processes == 1 else f"{self.processes} processes of {threads}"
        if self.processes * self.threads == 1:
            waiting = ""
        elif self.passive:
            waiting = ", sleeping while they wait for each other"
        else:
            waiting = (
                ", busy while they wait for each other (set OMP_WAIT_POLICY=PASSIVE where others share the machine)"
            )
        return f"plan: {who} compute{waiting}; reading is ahead of them, and writing gives way"


def make_plan(
    enhancer: SliceEnhancer,
    part: ScanPart,
    scale: int,
    options: EnhanceOptions,
    slab: int,
    slices: int,
    kind: Format,
    seconds: float,
) -> Plan:
    """Say beforehand what enhancing costs.

    Parameters
    ----------
    enhancer
        What enhances the slices.
    part
        What is enhanced.
    scale
        In-plane enlargement.
    options
        How it is enhanced.
    slab
        Slices that are read, enhanced and recorded together.
    slices
        How many slices there are still to do.
    kind
        Format of the output: one that is resumable has coarser levels too, and one that does not stream is held whole.
    seconds
        Time that one slice takes; see `timed_slice`.
    """
    shape = part.scan.shape
    fine = shape[0], shape[1] * scale, shape[2] * scale
    needed = fixed_bytes(shape, scale, len(options.beside)) + enhancer.footprint((shape[1], shape[2]))
    if not kind.streams:
        needed += float(np.prod(fine)) * np.dtype(np.int16).itemsize
    levels = levels_of(scale) if kind.resumable else 0
    disk = disk_needed((slices, fine[1], fine[2]), levels, len(options.beside))
    return Plan(slices, fine, slab, enhancer.tile, needed, disk, slices * seconds)


def require_disk(plan: Plan, path: Location) -> None:
    """Raise `FileError` when the disk of `path` has less free than the plan asks for; a server's room is not known."""
    if isinstance(path, Remote):
        return
    folder = next(one for one in path.absolute().parents if one.is_dir())
    free = shutil.disk_usage(folder).free
    if free < plan.disk:
        raise FileError(
            f"{path}: {plan.disk / 1e9:.3g} GB may be needed and {free / 1e9:.3g} GB are free; free some space, "
            "write to another disk, or enhance fewer slices"
        )


def disk_needed(fine: tuple[int, int, int], levels: int, beside: int) -> float:
    """Bytes of the store, its coarser levels, and those of so many maps beside it."""
    voxels = float(np.prod(fine)) * sum(0.25**level for level in range(levels + 1))
    return voxels * (2 + 4 * beside) / COMPRESSION


def timed_slice(enhancer: SliceEnhancer, part: ScanPart, z: int) -> tuple[float, EnhancedSlice]:
    """Enhance slice `z` of `part`, and return the seconds that it took and what was made of it.

    What is done once only, the first time that a network runs, is not counted where a small part of a slice shows it.
    """
    plane, mask = part.planes(z, z + 1, enhancer.neighbours)[0], part.mask_of(z)
    if enhancer.tile is not None:
        enhancer.enhance(plane, _one_voxel(part, mask), part.first + z)
    begun = time.perf_counter()
    made = enhancer.enhance(plane, mask, part.first + z)
    return time.perf_counter() - begun, made


def _one_voxel(part: ScanPart, mask: Mask | None) -> Mask:
    """A mask of one voxel of a slice, inside `mask` where that holds any: for one tile there is something to do."""
    found = np.zeros(part.scan.shape[1:], bool)
    inside = np.flatnonzero(mask) if mask is not None else np.empty(0, np.intp)
    found.flat[inside[len(inside) // 2] if inside.size else found.size // 2] = True
    return found
