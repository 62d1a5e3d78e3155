"""What two workers make of one volume, as processes and through Dask, beside what the cores allow.

python benchmarks/scaling.py
python benchmarks/scaling.py --slices 50 200 --json

Each row is the command `ctloupe enhance` in a process of its own, every worker with one thread. What the cores allow is
found by two such commands side by side, each with its own volume.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

WAYS = ("one process", "two commands", "two processes", "two workers of Dask", "the same, warm")
LOOK_SECONDS = 0.1
"""Time from one look at the memory of all processes to the next."""


def inside(record, command):
    """Run the command, and note when the slices were begun, when the first was done, and when the last one."""
    from ctloupe.cli import progress
    from ctloupe.cli.main import main

    marks, shown = {}, progress.ConsoleProgress

    def watched():
        # Only now: the command lets its workers import the large libraries before it does so itself.
        from ctloupe.enhance.job import Job

        stream = Job._stream

        def noted(job, *arguments):
            marks["begun"], told = time.time(), job.progress
            object.__setattr__(job, "progress", lambda done: (marks.setdefault("first", time.time()), told(done)))
            try:
                return stream(job, *arguments)
            finally:
                marks["ended"] = time.time()

        Job._stream = noted
        return shown()

    progress.ConsoleProgress = watched
    sys.argv = ["ctloupe", "enhance", *command]
    try:
        main()
    except SystemExit as left:
        if left.code:
            raise
    Path(record).write_text(json.dumps(marks), encoding="utf-8")


def made_up(path, slices, side):
    """A scan of noise, written slab by slab."""
    from ctloupe.volume.formats import write
    from ctloupe.volume.volume import LazyArray, Volume

    def read(block):
        planes = [np.random.default_rng(z).normal(-750, 150, (side, side)) for z in range(slices)[block[0]]]
        return np.stack(planes).round().astype(np.int16)[:, block[1], block[2]]

    data = LazyArray((slices, side, side), np.int16, read, "made-up scan")
    write(Volume(data, (1.0, 0.625, 0.625), modality="clinical", units="HU"), path)


class Memory:
    """Largest resident memory of processes with all that they have started, together."""

    def __init__(self, processes):
        self._roots, self.peak = [psutil.Process(one) for one in processes], 0

    def look(self):
        found = 0
        for root in self._roots:
            try:
                found += sum(one.memory_info().rss for one in (root, *root.children(recursive=True)))
            except psutil.NoSuchProcess:
                continue
        self.peak = max(self.peak, found)


def run(commands, folder, threads, others=()):
    """Run commands side by side; return what each noted, the seconds of all, and the largest memory."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    records = [Path(folder, f"record-{number}.json") for number in range(len(commands))]
    begun = time.perf_counter()
    running = [
        subprocess.Popen(
            [sys.executable, __file__, "--inside", str(record), "--", *command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for record, command in zip(records, commands, strict=True)
    ]
    memory = Memory([*(one.pid for one in running), *others])
    while any(one.poll() is None for one in running):
        memory.look()
        time.sleep(LOOK_SECONDS)
    spent = time.perf_counter() - begun
    for one in running:
        said = one.communicate()[0]
        if one.returncode:
            sys.exit(said)
    return [json.loads(record.read_text(encoding="utf-8")) for record in records], spent, memory.peak


@contextmanager
def cluster():
    """A scheduler of Dask with two workers of one thread, in processes of their own; its address, and the process."""
    code = (
        "from distributed import LocalCluster\n"
        "import sys\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=2, threads_per_worker=1, host='127.0.0.1', dashboard_address=None) as made:\n"
        "        print(made.scheduler_address, flush=True)\n"
        "        sys.stdin.read()\n"
    )
    # Dask's processes begin by importing the script that started them.
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "workers.py")
        script.write_text(code, encoding="utf-8")
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        process = subprocess.Popen(
            [sys.executable, str(script)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.stdin.close()
            process.wait()


def rows_of(slices, arguments, folder, dask):
    """What every way takes for a volume of so many slices; a cluster is used twice."""
    scan = Path(folder, f"scan-{slices}.ome.zarr")
    made_up(scan, slices, arguments.size)

    def command(name, *options):
        out = str(Path(folder, f"{name}-{slices}.ome.zarr"))
        given = [str(scan), "-o", out, "--model", arguments.model, "--mask", "none", "--accept-spacing"]
        return [*given, "--no-preview", *options]

    def row(way, commands, threads, others=()):
        noted, whole, memory = run(commands, folder, threads, others)
        streamed = max(one["ended"] - one["begun"] for one in noted)
        return {
            "slices": slices,
            "way": way,
            "seconds": whole,
            "streaming_seconds": streamed,
            "first_slab_seconds": max(one["first"] - one["begun"] for one in noted),
            "seconds_a_slice": streamed / slices / len(commands),
            "memory_bytes": memory,
        }

    rows = [
        row(WAYS[0], [command("one")], 1),
        row(WAYS[1], [command("a"), command("b")], 1),
        row(WAYS[2], [command("two", "--devices", "2")], 2),
    ]
    if dask is not None:
        # The workers of the second run have their libraries, and have worked before.
        for way, name in zip(WAYS[3:], ("cold", "warm"), strict=True):
            rows.append(row(way, [command(name, "--scheduler", dask[0])], 1, [dask[1]]))
    for one in rows:
        one["speed_up"] = rows[0]["seconds_a_slice"] / one["seconds_a_slice"]
    for one in rows[2:]:
        one["efficiency"] = one["speed_up"] / rows[1]["speed_up"]
        rest = one["streaming_seconds"] - one["first_slab_seconds"]
        alone = rows[1]["streaming_seconds"] - rows[1]["first_slab_seconds"]
        one["efficiency_once_begun"] = alone / (2 * rest) if rest > 0 else one["efficiency"]
    return rows


def as_text(report):
    lines = [
        f"volumes of {report['size']}×{report['size']} with {report['model']}; {report['machine']}",
        "",
        "| slices | way | s in all | s streaming | s to the first slab | s a slice | times one process | "
        "share of what the cores allow | once begun | peak memory, GB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in report["rows"]:
        shares = [f"{one[name]:.0%}" if name in one else "" for name in ("efficiency", "efficiency_once_begun")]
        lines.append(
            f"| {one['slices']} | {one['way']} | {one['seconds']:.1f} | {one['streaming_seconds']:.1f} | "
            f"{one['first_slab_seconds']:.1f} | {one['seconds_a_slice']:.3f} | {one['speed_up']:.2f} | "
            f"{' | '.join(shares)} | {one['memory_bytes'] / 1e9:.2f} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, nargs="+", default=[50, 200, 800])
    parser.add_argument("--size", type=int, default=40, help="side of a slice in voxels")
    parser.add_argument("--model", default="lung-demo", help="model package, or name of a model")
    parser.add_argument("--without-dask", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        inside(arguments.inside, arguments.command)
        return
    rows = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for slices in arguments.slices:
            if arguments.without_dask:
                rows += rows_of(slices, arguments, folder, None)
                continue
            with cluster() as dask:
                rows += rows_of(slices, arguments, folder, dask)
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "model": arguments.model,
        "size": arguments.size,
        "rows": rows,
    }
    print(json.dumps(report, indent=2, ensure_ascii=False) if arguments.json else as_text(report))


if __name__ == "__main__":
    main()
