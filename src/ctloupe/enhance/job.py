"""One volume from file to file: checked, planned, streamed, resumed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ctloupe.enhance.exact import Engine, EnhancedSlice
from ctloupe.enhance.plan import (
    Plan,
    disk_needed,
    fixed_bytes,
    footprint,
    memory_allowed,
    require_disk,
    seconds_per_slice,
)
from ctloupe.enhance.region import Region
from ctloupe.enhance.samples import Spool
from ctloupe.enhance.store.journal import Journal
from ctloupe.enhance.store.stream import Stores, Summary, fill, place, slabs_of, summarised
from ctloupe.foundation.atomic import full_suffix
from ctloupe.foundation.errors import FileError, Interrupted, OptionError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.volume.digest import digest_of
from ctloupe.volume.formats import require_writable, write
from ctloupe.volume.volume import LazyArray, Volume

if TYPE_CHECKING:
    from ctloupe.enhance.resolver import SuperResolver

SLAB: Final = 4
"""Slices read, enhanced and recorded together; a crash costs at most twice as many."""

WHOLE_IN_MEMORY: Final = (".mha", ".mhd", ".nrrd")
"""Formats whose library wants the whole volume at once."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Job:
    """A volume to enhance, and how.

    Attributes
    ----------
    resolver
        The model and its options.
    volume, mask, region
        As in `SuperResolver.enhanced_lazily`.
    slab
        Slices at a time.
    tell
        Called with lines of text for people.
    progress
        Called with the number of finished slices.
    """

    resolver: SuperResolver
    volume: Volume
    mask: Mask | None
    region: Region
    slab: int
    tell: Callable[[str], None]
    progress: Callable[[int], None]

    @property
    def part(self) -> Volume:
        """The part of the scan that is enhanced."""
        return self.volume.crop(*self.region)

    @property
    def part_mask(self) -> Mask | None:
        """The mask of that part."""
        return None if self.mask is None else self.mask[self.region]

    @property
    def levels(self) -> int:
        """Halvings from the enhanced grid down to the scan's."""
        return int(math.log2(self.resolver.scale))

    def described(self) -> Volume:
        """The result, as a volume without voxels."""
        z, y, x = self.part.shape
        s = self.resolver.scale
        return self.resolver.described(self.part, _no_voxels((z, y * s, x * s), np.int16))

    def deviation(self) -> Volume | None:
        """The standard deviation of the passes, as a volume without voxels."""
        if not self.resolver.samples:
            return None
        result = self.described()
        done = f"standard deviation of {self.resolver.samples} passes with dropout. {RESEARCH_NOTICE}"
        return result.with_data(_no_voxels(result.shape, np.float32), done)


def enhance_volume(
    resolver: SuperResolver,
    volume: Volume,
    path: Path | str,
    mask: Mask | None = None,
    region: Region | None = None,
    *,
    progress: Callable[[int], None] | None = None,
    overwrite: bool = False,
    uncertainty: Path | str | None = None,
    resume: bool = False,
    slab: int = SLAB,
    scheduler: str | None = None,
    source: Sequence[Path] = (),
    tell: Callable[[str], None] | None = None,
) -> Summary:
    """Enhance `volume` into `path`.

    OME-Zarr is streamed: memory does not grow with the number of slices, and what was interrupted can be continued
    with `resume` to a store that is equal byte for byte. Other formats are written in one go.

    Parameters
    ----------
    resolver, volume, mask, region
        As in `SuperResolver.enhanced_lazily`.
    path
        Its suffix says the format.
    progress, tell
        Told the number of finished slices, and lines of text.
    overwrite
        Whether what is there may be replaced.
    uncertainty
        With samples: where the standard deviation goes, in the same format.
    resume
        Continue what was interrupted; start when nothing was.
    slab
        Slices at a time.
    scheduler
        Address of a Dask scheduler whose workers do the work.
    source
        DICOM files that `volume` was read from; a DICOM output takes patient and study from them.

    Raises
    ------
    FileError, OptionError, GeometryError, IntensityError
        If inputs, outputs or options do not fit, or the disk is too small.
    """
    resolver.require_clinical(volume, mask)
    path, uncertainty = Path(path), None if uncertainty is None else Path(uncertainty)
    whole = (slice(0, volume.shape[0]), slice(0, volume.shape[1]), slice(0, volume.shape[2]))
    job = Job(
        resolver, volume, mask, region or whole, slab, tell or (lambda text: None), progress or (lambda done: None)
    )
    if slab < 1:
        raise OptionError(f"`slab` {slab}: expected at least one slice")
    streamed = full_suffix(path).lower() == ".ome.zarr"
    if (resume or scheduler) and not streamed:
        raise OptionError(f"{path}: only OME-Zarr can be resumed or written by several workers; name it *.ome.zarr")
    outputs = {"values": path} | ({"deviation": uncertainty} if uncertainty else {})
    if not streamed:
        return _write_at_once(job, outputs, overwrite, source)
    return _stream(job, outputs, overwrite, resume, scheduler)


def _stream(
    job: Job,
    outputs: dict[str, Path],
    overwrite: bool,
    resume: bool,
    scheduler: str | None,
) -> Summary:
    journal = Journal(outputs["values"])
    going_on = resume and journal.exists
    if resume and not going_on and outputs["values"].exists():
        job.tell(f"{outputs['values']} is finished already, nothing was written")
        return Summary(found_finished=True)
    for output in outputs.values():
        if not (going_on and output.exists()):
            require_writable(output, overwrite)
    part, mask = job.part, job.part_mask
    worker = job.resolver.prepared(job.volume, job.mask, job.tell)
    count = part.shape[0]
    work = _work(job, digest_of(job.volume))
    if going_on:
        journal.resume(work)
        finished = journal.finished()
        job.tell(f"resuming: {len(finished)} of {count} slices are done")
        if isinstance(worker, Engine) and journal.work.get("tile_used"):
            worker.tile = tuple(journal.work["tile_used"])
    else:
        finished = set()
    slabs = slabs_of(count, job.slab, finished)
    if slabs:
        plan = make_plan(job, worker, len(slabs) * job.slab if going_on else count)
        for line in plan.lines():
            job.tell(line)
        require_disk(plan, outputs["values"])
        if going_on:
            stores = Stores.reopen(journal.folder)
        else:
            journal.begin(work | {"tile_used": list(worker.tile) if isinstance(worker, Engine) else None})
            stores = Stores.create(journal.folder, job.described(), job.levels, job.deviation())
            journal.opened()

        done = len(finished)

        def record(line: dict[str, Any]) -> None:
            nonlocal done
            journal.record(line)
            done += line["slices"][1] - line["slices"][0]
            job.progress(done)

        first = job.region[0].start
        try:
            if scheduler is None:
                fill(worker, part, mask, first, slabs, stores, record)
            else:
                from ctloupe.enhance.store.cluster import fill_on_cluster

                fill_on_cluster(scheduler, job, worker, slabs, journal.folder, record)
        except (FileError, KeyboardInterrupt) as error:
            raise _stopped(journal, count, error) from error
    summary = summarised(journal)
    place(journal, outputs, overwrite)
    return summary


def _stopped(journal: Journal, count: int, error: BaseException) -> FileError | Interrupted:
    """What to say when the work ended early; nothing is kept when nothing was done."""
    done = len(journal.finished())
    kept = f"{done} of {count} slices are kept, and the same command with `resume` goes on"
    if not done:
        journal.close()
        kept = "nothing was finished"
    if isinstance(error, FileError):
        return FileError(f"{error}; {kept}")
    return Interrupted(f"{journal.output}: stopped; {kept}")


def _write_at_once(job: Job, outputs: dict[str, Path], overwrite: bool, source: Sequence[Path]) -> Summary:
    path = outputs["values"]
    size = float(np.prod(job.described().shape)) * 2
    allowed = memory_allowed(job.resolver.options)
    if full_suffix(path).lower() in WHOLE_IN_MEMORY and size > allowed / 2:
        raise OptionError(
            f"{path}: {size / 1e9:.1f} GB do not fit the memory ({allowed / 1e9:.1f} GB allowed), and this format is "
            "written at once; name the output *.ome.zarr, which is streamed"
        )
    for output in outputs.values():
        require_writable(output, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    worker = job.resolver.prepared(job.volume, job.mask, job.tell)
    summary = Summary()
    with TemporaryFile(dir=path.parent) as file:
        spool = Spool(file)
        done = 0

        def keep(z: int, made: EnhancedSlice) -> None:
            nonlocal done
            summary.add(made.residual, made.tiles, made.skipped)
            if made.deviation is not None and "deviation" in outputs:
                spool.keep(z, made.deviation)
            done += 1
            job.progress(done)

        lazy = job.resolver.lazily(worker, job.part, job.part_mask, job.region[0].start, keep)
        write(lazy, path, overwrite=overwrite, source=source)
        spread = job.deviation()
        if "deviation" in outputs and spread is not None:
            write(spread.with_data(spool.data(lazy.shape)), outputs["deviation"], overwrite=overwrite)
    return summary


def make_plan(job: Job, worker: Any, slices: int) -> Plan:
    """Say beforehand what enhancing so many slices of `job` takes; times the middle slice to know."""
    resolver, part, mask = job.resolver, job.part, job.part_mask
    fine = job.described().shape
    deviation = bool(resolver.samples)
    disk = disk_needed((slices, fine[1], fine[2]), job.levels, deviation)
    middle = part.shape[0] // 2
    coarse, of_tile, tile = 0.0, 0.0, None
    if isinstance(worker, Engine) and worker.network is not None:
        network = worker.network
        needs = footprint(network.plain, 2 if worker.precision == torch.bfloat16 else 4)
        tile = worker.tile if network.is_cut else None
        height, width = tile or part.shape[1:]
        halo = 0 if network.is_split else 2 * network.of_tile.halo
        coarse = needs.coarse
        of_tile = 2 * (height + halo) * (width + halo) * needs.tile * (worker.copies if resolver.samples else 1)
    needed = fixed_bytes(part.shape, resolver.scale, coarse, resolver.samples) + of_tile
    seconds = None
    if isinstance(worker, Engine):
        each = seconds_per_slice(worker, part.data[middle], None if mask is None else mask[middle], middle)
        seconds = each * slices
    return Plan(slices, fine, job.slab, tile, needed, disk, seconds)


def _work(job: Job, scan: str) -> dict[str, Any]:
    """What decides every byte of the result, in JSON."""
    resolver = job.resolver
    return {
        "scan": scan,
        "region": [[one.start, one.stop] for one in job.region],
        "mask": None if job.mask is None else hashlib.sha256(np.packbits(job.mask).tobytes()).hexdigest()[:32],
        "model": f"{resolver.name} {weights_digest(resolver)}",
        "scale": resolver.scale,
        "options": [
            resolver.statistics,
            resolver.seed,
            resolver.samples,
            resolver.consistent,
            resolver.median,
            resolver.blend,
            resolver.blend_outside,
        ],
        "precision": str(resolver.options.dtype(resolver.device)),
    }


def model_record(resolver: SuperResolver) -> dict[str, Any]:
    """What made a volume, in JSON: method, digest of the weights, how it was trained, and the seed it enhances with."""
    return {
        "name": resolver.name,
        "weights": weights_digest(resolver),
        "training": resolver.training,
        "statistics": resolver.statistics,
        "enhancement seed": resolver.seed,
        "samples": resolver.samples,
    }


def weights_digest(resolver: SuperResolver) -> str:
    """Digest of a model's weights."""
    digest = hashlib.sha256()
    if resolver.enhancer is not None:
        for name, tensor in sorted(resolver.enhancer.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:32]


def _no_voxels(shape: tuple[int, int, int], dtype: type) -> LazyArray:
    def read(block: tuple[slice, slice, slice]) -> NDArray[Any]:
        raise FileError("this volume has no voxels yet")

    return LazyArray(shape, dtype, read, "planned volume")
