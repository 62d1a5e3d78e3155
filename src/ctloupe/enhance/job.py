"""One volume from file to file: checked, prepared, planned, streamed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

import numpy as np
import torch

from ctloupe.enhance.enhanced_volume import described, described_beside, lazily, levels_of
from ctloupe.enhance.identity import Identity
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.plan import make_plan, require_disk, timed_slice
from ctloupe.enhance.preparation import prepared
from ctloupe.enhance.region import Region, corner_of
from ctloupe.enhance.scan_part import Mask, ScanPart
from ctloupe.enhance.slice_enhancer import EnhancedSlice, SliceEnhancer
from ctloupe.enhance.store.cluster import fill_on_cluster
from ctloupe.enhance.store.journal import BegunWork, FinishedSlab, Journal
from ctloupe.enhance.store.processes import ToldHere, fill_on_devices, require_devices
from ctloupe.enhance.store.scan_file import PartOfFile, ScanFile
from ctloupe.enhance.store.server import workers_ready
from ctloupe.enhance.store.spool import Spool
from ctloupe.enhance.store.stores import Stores
from ctloupe.enhance.store.stream import fill, place, slabs_of, summarised
from ctloupe.enhance.summary import EnhancementSummary
from ctloupe.enhance.tiling import memory_allowed
from ctloupe.foundation.errors import CtLoupeError, Interrupted, OptionError
from ctloupe.foundation.kept_memory import kept_memory
from ctloupe.foundation.location import Location, Remote
from ctloupe.foundation.remote_lock import locked_anywhere
from ctloupe.foundation.threads import give_way, waits_passively
from ctloupe.volume.formats import format_of_output, require_writable, write
from ctloupe.volume.formats.ome_zarr.remote import is_whole
from ctloupe.volume.volume import Volume

SLAB: Final = 4
"""Slices read, enhanced and recorded together; a crash costs at most twice as many."""


@dataclass(frozen=True)
class Job:
    """A volume to enhance into files, and how.

    Attributes
    ----------
    model, options
        What it is enhanced with, and how.
    volume, mask, region, tell, progress, overwrite, resume, slab, scheduler, devices, source, file
        See `SuperResolver.enhance_to`.
    outputs
        Paths of the enhanced volume, ``values``, and, where wanted, of the maps beside it (`EnhanceOptions.beside`).
    """

    model: LoadedModel
    options: EnhanceOptions
    volume: Volume
    mask: Mask | None
    region: Region | None
    outputs: dict[str, Location]
    overwrite: bool
    resume: bool
    slab: int
    scheduler: str | None
    devices: int
    source: Sequence[Path]
    file: ScanFile | None
    tell: Callable[[str], None]
    progress: Callable[[int], None]

    @cached_property
    def part(self) -> ScanPart:
        """The part of the scan that is enhanced."""
        return ScanPart.of(self.volume, self.mask, self.region)

    @cached_property
    def fitted(self) -> LoadedModel:
        """The model with the window that it has on the whole scan, whatever part of it is enhanced."""
        return self.model.for_scan(self.volume, self.tell)

    @property
    def output(self) -> Location:
        """Path of the enhanced volume."""
        return self.outputs["values"]

    def run(self) -> EnhancementSummary:
        """Do the work.

        Raises
        ------
        FileError, OptionError, GeometryError, IntensityError
            If inputs, outputs or options do not fit, another process writes an output, or the disk is too small.
        Interrupted
            If the user stopped it.
        """
        self._check()
        with ExitStack() as stack:
            for output in sorted(self.outputs.values(), key=str):
                stack.enter_context(locked_anywhere(output))
            stack.enter_context(kept_memory(self._keeps_memory))
            if format_of_output(self.output).resumable:
                return self._run_streamed()
            try:
                return self._write_at_once()
            except KeyboardInterrupt as error:
                raise Interrupted(
                    f"{self.output}: stopped; nothing was written, since only OME-Zarr (*.ome.zarr) can be continued"
                ) from error

    def _check(self) -> None:
        """Refuse what cannot be, before anything is read."""
        shape, kind = self.part.scan.shape, format_of_output(self.output)
        for other in self.outputs.values():
            if _bucket(other) != _bucket(self.output):
                raise OptionError(
                    f"{other}: lies elsewhere than {self.output}, and what is made together is published together; "
                    "put all of it on this disk, or into one bucket"
                )
        if self.slab < 1:
            raise OptionError(f"`slab` {self.slab}: expected at least one slice")
        require_devices(self.devices, self.model.device.type)
        if self.scheduler and self.devices > 1:
            raise OptionError("`scheduler` and `devices` exclude each other: give each worker its own device")
        if (self.resume or self.scheduler or self.devices > 1) and not kind.resumable:
            raise OptionError(
                f"{self.output}: only OME-Zarr can be resumed or written by several workers; name it *.ome.zarr"
            )
        size, allowed = 2.0 * np.prod(shape) * self.model.scale**2, memory_allowed(self.options)
        if not kind.streams and size > allowed / 2:
            raise OptionError(
                f"{self.output}: {size / 1e9:.1f} GB do not fit the memory ({allowed / 1e9:.1f} GB allowed), and this "
                "format is written at once; name the output *.ome.zarr, which is streamed"
            )

    def _prepare(self) -> SliceEnhancer:
        options = self.options
        if self._shared:
            options = options.model_copy(update={"memory": memory_allowed(options) // self.devices})
        return prepared(self.fitted, options, self.volume, self.mask, ToldHere(self.tell), corner_of(self.region))

    @property
    def _keeps_memory(self) -> bool:
        """Whether what layers give back is kept for the next ones, in this process and in those that share the work."""
        return self.options.keeps_memory(self.model.device)

    @property
    def _shared(self) -> bool:
        """Whether several processes share the memory and the cores of this machine."""
        return self.devices > 1 and self.model.device.type == "cpu"

    def _plan(self, enhancer: SliceEnhancer, slices: Sequence[int]) -> dict[int, EnhancedSlice]:
        """Say what enhancing `slices` costs, and refuse it when the disk is too small.

        Returns
        -------
        dict of int to EnhancedSlice
            The slice that was enhanced to know the time, by its index.
        """
        kind, timed = format_of_output(self.output), slices[len(slices) // 2]
        slab = self.slab if kind.resumable else 1
        seconds, made = timed_slice(enhancer, self.part, timed)
        plan = make_plan(enhancer, self.part, self.model.scale, self.options, slab, len(slices), kind, seconds)
        if self.scheduler is None and self.model.device.type == "cpu":
            threads = max(1, torch.get_num_threads() // self.devices)
            plan = replace(plan, processes=self.devices, threads=threads, passive=waits_passively())
        if self._shared:
            plan = replace(plan, memory=plan.memory * self.devices)
        elif self.devices > 1:
            plan = replace(plan, seconds=plan.seconds / self.devices)
        for line in plan.lines():
            self.tell(line)
        require_disk(plan, self.output)
        return {timed: made}

    def _run_streamed(self) -> EnhancementSummary:
        journal = Journal(self.output)
        if self.resume and journal.exists:
            self._require_writable(going_on=True)
            self._go_on(journal)
        elif self.resume and is_whole(self.output):
            # A kill in the middle of removing the folder leaves some of it behind.
            journal.close()
            self.tell(f"{self.output} is finished already, nothing was written")
            return EnhancementSummary(found_finished=True)
        else:
            self._require_writable()
            with workers_ready(self.scheduler):
                self._begin(journal)
        summary = summarised(journal)
        place(journal, self.outputs, self.overwrite)
        return summary

    def _require_writable(self, going_on: bool = False) -> None:
        """Refuse outputs that exist; work that goes on may have placed some of its own before it was cut off."""
        for output in self.outputs.values():
            if not (going_on and output.exists()):
                require_writable(output, self.overwrite)

    def _identity(self) -> Identity:
        return Identity.of(self.fitted, self.options, self.volume, self.mask, self.region)

    def _begin(self, journal: Journal) -> None:
        """Enhance from the first slice on."""
        enhancer = self._prepare()
        count = self.part.scan.shape[0]
        known = self._plan(enhancer, range(count))
        journal.begin()
        values = described(self.fitted, self.options, self.part.scan)
        beside = described_beside(self.fitted, self.options, self.part.scan)
        with ThreadPoolExecutor(1, initializer=give_way) as first:
            # What zarr compresses with is started by its first user, and is as urgent as that one.
            made = first.submit(Stores.create, journal.folder, values, levels_of(self.model.scale), beside)
        stores = made.result()
        identity = self._identity()
        journal.opened(BegunWork(identity=identity, tiling=enhancer.tiling, stores=stores.descriptions()))
        self._stream(enhancer, slabs_of(count, self.slab, set()), stores, journal, known)

    def _go_on(self, journal: Journal) -> None:
        """Enhance what an interrupted run had not finished."""
        journal.resume(self._identity())
        stores, count = self._whole(journal), self.part.scan.shape[0]
        finished = journal.finished()
        self.tell(f"resuming: {len(finished)} of {count} slices are done")
        slabs = slabs_of(count, self.slab, finished)
        if not slabs:
            return
        with workers_ready(self.scheduler):
            enhancer = self._prepare()
            if journal.work.tiling is not None:
                enhancer.use(journal.work.tiling)
            known = self._plan(enhancer, [z for run in slabs for z in range(*run)])
            self._stream(enhancer, slabs, stores, journal, known)

    def _whole(self, journal: Journal) -> Stores:
        """The stores that were begun, with nothing in them but slices that are as they were written."""
        stores = Stores.reopen(journal.folder, journal.work.stores, self.outputs)
        lost = journal.require_whole(stores.marks, stores.descriptions())
        if lost:
            self.tell(f"warning: {len(lost)} finished slabs, the first at slice {lost[0]}, are damaged or gone")
        unfinished = set(range(self.part.scan.shape[0])) - journal.finished()
        if unfinished:
            stores.require_inside(journal.folder)
        for z in unfinished:
            stores.clear(z)
        return stores

    def _stream(
        self,
        enhancer: SliceEnhancer,
        slabs: list[tuple[int, int]],
        stores: Stores,
        journal: Journal,
        known: dict[int, EnhancedSlice],
    ) -> None:
        """Fill the stores, and keep what is finished when the work is stopped."""
        done = len(journal.finished())

        def record(slab: FinishedSlab) -> None:
            nonlocal done
            journal.record(slab)
            done += slab.slices[1] - slab.slices[0]
            self.progress(done)

        try:
            if self.devices > 1:
                fill_on_devices(self.devices, enhancer, self.part, slabs, journal.folder, record, self._keeps_memory)
            elif self.scheduler is None:
                fill(enhancer, self.part, slabs, stores, record, known)
            else:
                file = None if self.file is None else PartOfFile(self.file, self.region, self.part.mask)
                where, keep = journal.folder, self._keeps_memory
                fill_on_cluster(self.scheduler, enhancer, self.part, slabs, where, record, keep, file, self.tell)
        except (CtLoupeError, KeyboardInterrupt) as error:
            raise _stopped(journal, self.part.scan.shape[0], error) from error

    def _write_at_once(self) -> EnhancementSummary:
        """Write a format that cannot be continued; the maps beside the values wait in temporary files."""
        self._require_writable()
        files = {name: one for name, one in self.outputs.items() if not isinstance(one, Remote)}
        output = files["values"]
        output.parent.mkdir(parents=True, exist_ok=True)
        enhancer, summary, done = self._prepare(), EnhancementSummary(), 0
        known = self._plan(enhancer, range(self.part.scan.shape[0]))
        beside = described_beside(self.fitted, self.options, self.part.scan)
        with ExitStack() as stack:
            spools = {
                name: Spool(stack.enter_context(TemporaryFile(dir=output.parent))) for name in beside if name in files
            }

            def keep(z: int, made: EnhancedSlice) -> None:
                nonlocal done
                summary.add(made.residual, made.tiles, made.skipped)
                for name, spool in spools.items():
                    spool.keep(z, made.beside[name])
                done += 1
                self.progress(done)

            lazy = lazily(self.fitted, self.options, enhancer, self.part, keep, known)
            write(lazy, output, overwrite=self.overwrite, source=self.source)
            for name, spool in spools.items():
                filled = beside[name].with_data(spool.data(lazy.shape))
                write(filled, files[name], overwrite=self.overwrite, source=self.source)
        return summary


def _bucket(path: Location) -> str:
    """Bucket of a place; nothing of one on a disk."""
    return path.root if isinstance(path, Remote) else ""


def _stopped(journal: Journal, count: int, error: BaseException) -> CtLoupeError:
    """What to say when the work ended early; nothing is kept when nothing was done."""
    done = len(journal.finished())
    kept = f"{done} of {count} slices are kept, and the same command with `resume` goes on"
    if not done:
        # A server that is gone cannot be cleaned either; what began over cleans it.
        with suppress(CtLoupeError):
            journal.close()
        kept = "nothing was finished"
    if isinstance(error, CtLoupeError):
        return type(error)(f"{error}; {kept}")
    return Interrupted(f"{journal.output}: stopped; {kept}")
