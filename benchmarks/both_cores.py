"""How much of all cores `suite` and `study run` use, how long they said that they would take, and what phantoms cost.

python benchmarks/both_cores.py
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import machine

from ctloupe.foundation.beside import cores
from ctloupe.foundation.workers import allow_unasked
from ctloupe.phantom import together

SUITE = """
title: Lungs
scale: 8
windows: {{lung: {{clinical: [-1000, 400], micro: [2500, 15000]}}}}
specimens: {{lung: {{anatomy: lung, seed: 9, size: {size}}}}}
cases:
"""
CASE = "  - {{key: case-{number}, group: lung, anatomy: lung, seed: {number}, size: {size}}}\n"


def core_seconds() -> float:
    """What this process and those that it has begun have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@contextmanager
def timed(found: list[float]):
    """Add the seconds and core-seconds of the block."""
    begun, used = time.perf_counter(), core_seconds()
    yield
    found += [time.perf_counter() - begun, core_seconds() - used]


def phantoms(folder: Path, size: tuple[int, int, int], count: int, beside: bool) -> list[float]:
    """Make phantoms in one process, or as commands do."""
    wanted = [("", together.Wanted("lung", size, seed, None, folder / str(seed))) for seed in range(1, count + 1)]
    found: list[float] = []
    if beside:
        allow_unasked()
    with timed(found):
        together.write_wanted(wanted)
    return found


def command(folder: Path, words: list[str]) -> tuple[str, list[float]]:
    """Run a command; return what it expected, and what it took."""
    found = []
    with timed(found):
        ran = subprocess.run(
            [sys.executable, "-m", "ctloupe.cli.main", *words], cwd=folder, capture_output=True, text=True, check=True
        )
    told = [line for line in (ran.stdout + ran.stderr).splitlines() if line.startswith(("plan: ", "phantoms first: "))]
    return " + ".join(re.findall(r"about ([\d.]+ \w+)", " ".join(told))), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs=3, default=(64, 512, 512), help="fine voxels of a phantom")
    parser.add_argument("--cases", type=int, default=5, help="phantoms of the suite beside its specimen")
    parser.add_argument("--study-size", type=int, nargs=3, help="fine voxels of the study's phantoms, if others")
    parser.add_argument("--minutes", type=float, default=1.0, help="minutes of each training of the study")
    arguments = parser.parse_args()
    size = tuple(arguments.size)
    print(f"{machine.in_words()}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = "".join(CASE.format(number=number, size=list(size)) for number in range(1, arguments.cases + 1))
        (folder / "lungs.yaml").write_text(SUITE.format(size=list(size)) + cases, encoding="utf-8")
        count = arguments.cases + 1
        alone = phantoms(folder / "alone", size, count, False)
        beside = phantoms(folder / "beside", size, count, True)
        suite = ["suite", "lungs.yaml", "--model", "lung-demo", "--controls", "--out", "leaderboard"]
        study = ["study", "run", "jmi-table3", "--scale", "tiny", "--only", "A,M", "--seeds", "1", "--out", "study"]
        study += ["--minutes", f"{arguments.minutes:g}"]
        if arguments.study_size:
            study += ["--size", *map(str, arguments.study_size), "--per-case", "6", "--test-patches", "4"]
        rows = [
            (f"{count} phantoms, one after another", "", alone),
            ("the same as commands make them", together.in_words([size[0] * size[1] * size[2]] * count), beside),
            (f"`suite`, {arguments.cases} cases", *command(folder, suite)),
            ("`study run jmi-table3`, two rows", *command(folder, study)),
        ]
    print(f"| | expected | s | core-seconds | of {cores()} cores |\n|---|---|---|---|---|")
    for label, expected, (seconds, used) in rows:
        print(f"| {label} | {expected} | {seconds:.1f} | {used:.1f} | {used / seconds / cores():.0%} |")
    print(f"\nPhantoms beside each other: {alone[0] / beside[0]:.2f} times as fast.")


if __name__ == "__main__":
    main()
