"""Where the time goes from a scan's DICOM files to the enhanced OME-Zarr, and what the network alone would take.

python benchmarks/file_to_file.py --scan scan/
python benchmarks/file_to_file.py --scan scan/ --slices 16 --model runs/first/model --json
python benchmarks/file_to_file.py --scan scan/ --thinner 3

The command `ctloupe enhance` runs in a process of its own, with clocks around its stages. Afterwards the same slices
are enhanced once more in that process, with nothing read or written beside them: what the network takes of that is
"the network alone", in the same tiles.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

START, READ, MASK = "start of Python, imports", "waiting for the scan", "waiting for the mask"
MODEL, READY, PLAN, KNOWN = "loading the model", "calibration, scanner", "plan", "identity"
FLAT, NETWORK, BESIDE = "flat field", "network", "of a slice beside the network"
WAIT_READ, WAIT_WRITE, JOURNAL = "waiting for slices to be read", "waiting for slices to be written", "journal"
PLACE, PICTURE, REST = "giving it its name", "picture", "rest"
ONCE = (START, READ, MASK, MODEL, READY, PLAN, KNOWN, FLAT, PLACE, PICTURE, REST)
"""Stages that take as long however many slices are enhanced of a scan."""


class Clock:
    """Seconds for which each stage holds the main thread, without those of the stages inside it, and other threads."""

    def __init__(self):
        self.main, self.other = {}, {}
        self._inside = []

    def within(self, stage, function):
        """`function` with a clock around it."""

        @functools.wraps(function)
        def timed(*arguments, **options):
            begun = self.begin()
            try:
                return function(*arguments, **options)
            finally:
                self.end(stage, begun)

        return timed

    def each(self, stage, function):
        """`function`, which makes a generator, with a clock around every step of that."""

        @functools.wraps(function)
        def timed(*arguments):
            steps = function(*arguments)
            while True:
                begun = self.begin()
                try:
                    step = next(steps)
                except StopIteration:
                    return
                finally:
                    self.end(stage, begun)
                yield step

        return timed

    def begin(self):
        if threading.current_thread() is threading.main_thread():
            self._inside.append(0.0)
        return time.perf_counter()

    def end(self, stage, begun):
        spent = time.perf_counter() - begun
        if threading.current_thread() is not threading.main_thread():
            self.other[stage] = self.other.get(stage, 0.0) + spent
            return
        nested = self._inside.pop()
        self.main[stage] = self.main.get(stage, 0.0) + spent - nested
        if self._inside:
            self._inside[-1] += spent

    def put_in(self, owner, name, stage, each=False):
        """Put a clock around a function of a module, or a method of a class."""
        found = owner.__dict__[name]
        function = found.__func__ if isinstance(found, classmethod) else found
        timed = (self.each if each else self.within)(stage, function)
        setattr(owner, name, classmethod(timed) if isinstance(found, classmethod) else timed)


def clocks(clock, seen):
    """Put clocks into our own code; what is streamed is kept in `seen`."""
    from ctloupe.enhance import job, request
    from ctloupe.enhance.exact import ExactSliceEnhancer
    from ctloupe.enhance.flat_field import FlatField
    from ctloupe.enhance.scan_part import ScanPart
    from ctloupe.enhance.store import stream
    from ctloupe.enhance.store.journal import Journal
    from ctloupe.enhance.store.stores import Stores
    from ctloupe.volume.formats.ome_zarr import writer

    fill = job.fill

    def kept(enhancer, part, slabs, *others):
        seen.update(enhancer=enhancer, part=part, slabs=slabs)
        kind = type(enhancer)
        if not isinstance(enhancer, ExactSliceEnhancer):
            clock.put_in(kind, "enhance", NETWORK)
        return fill(enhancer, part, slabs, *others)

    job.fill = clock.within(WAIT_WRITE, kept)
    clock.put_in(request._Enhancement, "_read", READ)
    clock.put_in(request, "loaded_model", MODEL)
    clock.put_in(request._Enhancement, "_mask", MASK)
    clock.put_in(request._Enhancement, "_picture", PICTURE)
    clock.put_in(job, "prepared", READY)
    clock.put_in(job.Job, "_plan", PLAN)
    clock.put_in(job.Job, "_identity", KNOWN)
    clock.put_in(job, "place", PLACE)
    clock.put_in(Journal, "record", JOURNAL)
    clock.put_in(FlatField, "of", FLAT)
    clock.put_in(ExactSliceEnhancer, "enhance", BESIDE)
    clock.put_in(ExactSliceEnhancer, "_passes", NETWORK, each=True)
    clock.put_in(stream, "_read_ahead", WAIT_READ, each=True)
    clock.put_in(ScanPart, "planes", "reading")
    clock.put_in(Stores, "write", "writing")
    clock.put_in(writer, "_halved", "pyramid")


def inside(arguments):
    """Run the command with clocks, then the slices alone; in a process of its own."""
    import resource

    from ctloupe.cli import progress
    from ctloupe.cli.main import main

    clock, seen, marks, shown = Clock(), {}, {}, progress.ConsoleProgress

    def watched():
        # Only now: the command reads the scan while it imports the large libraries, and clocks import them too.
        clocks(clock, seen)
        marks["begun"] = time.time()
        return shown()

    progress.ConsoleProgress = watched
    sys.argv = ["ctloupe", "enhance", *arguments.command]
    try:
        main()
    except SystemExit as left:
        if left.code:
            raise
    marks["ended"] = time.time()
    clock.main[REST] = marks["ended"] - marks["begun"] - sum(clock.main.values())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    found = {**marks, "memory": memory, "stages": dict(clock.main), "threads": dict(clock.other)}
    found |= alone(clock, **seen)
    Path(arguments.inside).write_text(json.dumps(found), encoding="utf-8")


def alone(clock, enhancer, part, slabs):
    """Seconds of the network, and of the whole slices, with nothing beside them; and how much a whole scan is."""
    import torch

    from ctloupe.foundation.kept_memory import kept_memory

    slices = [z for run in slabs for z in range(*run)]
    clock.main.clear()
    tiles = 0
    # As the command does it, which would else be faster than the network alone.
    with kept_memory():
        begun = time.perf_counter()
        for z in slices:
            made = enhancer.enhance(part.planes(z, z + 1, enhancer.neighbours)[0], part.mask_of(z), part.first + z)
            tiles += max(1, made.tiles - made.skipped)
        spent = time.perf_counter() - begun
    return {
        "slices": len(slices),
        "tiles": tiles,
        "network_alone": clock.main[NETWORK],
        "slices_alone": spent,
        "threads_of_the_network": torch.get_num_threads(),
        "fine": [part.scan.shape[axis] * enhancer.scale for axis in (1, 2)],
    }


def made_up(folder, slices, size):
    """A body with two lungs in it, as a DICOM series."""
    import numpy as np

    from ctloupe.volume.formats import write
    from ctloupe.volume.volume import Volume

    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    body = (x / 0.9) ** 2 + (y / 0.7) ** 2 < 1
    lungs = ((np.abs(x) - 0.42) / 0.28) ** 2 + (y / 0.45) ** 2 < 1
    plane = np.where(lungs, -850.0, np.where(body, 40.0, -1000.0))
    noise = np.random.default_rng(0).normal(0, 25, (slices, size, size))
    values = np.rint(plane + noise).clip(-1024, 3000).astype(np.int16)
    # The lungs end within the scan, as they do in a chest.
    values[[0, -1]] = np.rint(np.where(body, 40.0, -1000.0)).astype(np.int16)
    spacing = (320 / slices, 320 / size, 320 / size)
    write(Volume(values, spacing, modality="clinical", units="HU"), folder)
    return folder


def thinner(scan, factor, folder):
    """The same chest in `factor` times as many slices, linear between its own, as a DICOM series."""
    import numpy as np

    from ctloupe.volume.formats import read, write
    from ctloupe.volume.volume import Volume

    volume = read(scan)
    values = volume.array().astype(np.float32)
    places = np.arange(factor * (len(values) - 1) + 1) / factor
    first = np.minimum(places.astype(int), len(values) - 2)
    share = (places - first)[:, None, None].astype(np.float32)
    between = np.rint((1 - share) * values[first] + share * values[first + 1]).astype(np.int16)
    spacing = (volume.spacing[0] / factor, *volume.spacing[1:])
    write(Volume(between, spacing, modality="clinical", units="HU"), folder)
    return folder


def command(arguments, scan, folder):
    """Arguments of the verb: the middle slices of the scan."""
    given = [str(scan), "-o", str(Path(folder, "fine.ome.zarr")), "--model", arguments.model, "--accept-spacing"]
    given += ["--mask", arguments.mask]
    if arguments.slices:
        from ctloupe.volume.formats import read

        count = read(Path(scan)).shape[0]
        first = max(0, (count - arguments.slices) // 2)
        given += ["--slices", f"{first}:{min(count, first + arguments.slices)}"]
    return given


def measured(arguments):
    """Run it, and put the stages in order."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        scan = arguments.scan or made_up(Path(folder, "scan.dicom"), *arguments.size)
        if arguments.thinner > 1:
            scan = thinner(scan, arguments.thinner, Path(folder, "thinner.dicom"))
        given = command(arguments, scan, folder)
        record = Path(folder, "record.json")
        begun = time.time()
        done = subprocess.run(
            [sys.executable, __file__, "--inside", str(record), "--", *given],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        found = json.loads(record.read_text(encoding="utf-8"))
    said = [line for line in done.stderr.splitlines() if line.startswith("plan: ")]
    stages = {START: found["begun"] - begun, **found["stages"]}
    whole = found["ended"] - begun
    return {
        "scan": "made up" if arguments.scan is None else "given",
        "model": arguments.model,
        "machine": f"{found['threads_of_the_network']} threads of {os.cpu_count()} cores",
        "plan": said,
        "slices": found["slices"],
        "tiles": found["tiles"],
        "fine": found["fine"],
        "seconds": whole,
        "stages": {name: spent for name, spent in sorted(stages.items(), key=lambda one: -one[1])},
        "reading_seconds": found["threads"].get("reading", 0.0),
        "writing_seconds": found["threads"].get("writing", 0.0),
        "pyramid_seconds": found["threads"].get("pyramid", 0.0),
        "network_alone": found["network_alone"],
        "slices_alone": found["slices_alone"],
        "share_of_the_network": found["stages"][NETWORK] / whole,
        "ratio_to_the_network_alone": whole / found["network_alone"],
        "once_seconds": sum(spent for name, spent in stages.items() if name in ONCE),
        "memory_bytes": found["memory"],
    }


def hidden(spent, waited):
    """How much of what another thread did cost the main thread nothing."""
    return f"{100 * max(0.0, 1 - waited / spent):.0f}%" if spent else "all"


def as_text(report):
    whole, stages = report["seconds"], report["stages"]
    lines = [
        f"{report['slices']} slices to {report['fine'][1]}×{report['fine'][0]} with {report['model']}, "
        f"{report['tiles']} tiles; {report['machine']}",
        "",
        "| stage | s | share | times the network alone |",
        "|---|---|---|---|",
    ]
    once = report["network_alone"]
    lines += [f"| {name} | {spent:.2f} | {spent / whole:.1%} | {spent / once:.3f} |" for name, spent in stages.items()]
    reading, writing = report["reading_seconds"], report["writing_seconds"]
    lines += [
        f"| **from file to file** | {whole:.2f} | 100% | {report['ratio_to_the_network_alone']:.3f} |",
        f"| the network alone | {once:.2f} | | 1 |",
        f"| the slices alone | {report['slices_alone']:.2f} | | {report['slices_alone'] / once:.3f} |",
        "",
        f"Reading slices in another thread: {reading:.2f} s, hidden: {hidden(reading, stages.get(WAIT_READ, 0.0))}.",
        f"Writing them in another thread: {writing:.2f} s, of these pyramid {report['pyramid_seconds']:.2f} s, hidden: "
        f"{hidden(writing, stages.get(WAIT_WRITE, 0.0))}.",
        f"Once, whatever the number of slices: {report['once_seconds']:.1f} s. "
        f"Peak memory: {report['memory_bytes'] / 1e9:.2f} GB.",
        *report["plan"],
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scan", type=Path, help="scan; default: one that is made up")
    parser.add_argument("--model", default="lung-demo", help="model package, or name of a model")
    parser.add_argument("--mask", default="auto")
    parser.add_argument("--slices", type=int, help="so many slices of the middle of the scan; default: all")
    parser.add_argument("--size", type=int, nargs=2, default=(24, 256), help="slices and side of the scan made up")
    parser.add_argument("--thinner", type=int, default=1, help="as many slices for each of the scan, between its own")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        inside(arguments)
        return
    report = measured(arguments)
    print(json.dumps(report, indent=2, ensure_ascii=False) if arguments.json else as_text(report))


if __name__ == "__main__":
    main()
