"""Read thousands of damaged volumes and count what came of it.

python -m fuzz.run --cases 10000 --seed 1
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctloupe.volume.formats import read
from fuzz.mutations import damage
from fuzz.oracle import read_independently
from fuzz.process import MEMORY, SECONDS, foreseen, in_a_process
from fuzz.small_volumes import BUILDERS

OUTCOMES = {
    "correct": "read, and the independent reader reads the same",
    "noted": "read with a note of what is odd; the independent reader reads otherwise, or refuses",
    "alone": "read, and the independent reader refuses",
    "refused": "refused in one line that names the file",
    "refused otherwise": "refused in another way: more lines, no file named, or lines of a library's own",
    "suspicious": "read, and the independent reader reads otherwise",
    "traceback": "an error that nobody foresaw",
    "crash": "the process died",
    "hang": f"not done after {SECONDS} s",
    "memory": f"more than {MEMORY >> 30} GB",
}
GOOD = ("correct", "noted", "alone", "refused", "accepted")


@dataclass(frozen=True)
class Case:
    """What came of one damaged volume."""

    number: int
    kind: str
    damage: tuple[str, ...]
    outcome: str
    message: str


def run_case(seed: int, number: int, keep: Path | None = None) -> Case:
    """Build, damage and read the case of this number; it is a function of seed and number alone."""
    rng = np.random.default_rng((seed, number))
    kind = list(BUILDERS)[number % len(BUILDERS)]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "case"
        folder.mkdir()
        path = BUILDERS[kind](folder, rng)
        told = tuple(damage(folder, rng))
        outcome, message = judged(kind, path, Path(made))
        if keep is not None and outcome not in GOOD:
            keep_files(folder, keep / f"{outcome}-{seed}-{number}".replace(" ", "-"))
    return Case(number, kind, told, outcome, message.replace(made, ""))


def keep_files(folder: Path, kept: Path) -> None:
    """Copy what lies in a folder; a pipe is made anew."""

    def copy(source: str, target: str) -> None:
        if Path(source).is_file():
            shutil.copy(source, target)
        else:
            os.mkfifo(target)

    shutil.copytree(folder, kept, copy_function=copy)


def judged(kind: str, path: Path, folder: Path) -> tuple[str, str]:
    """Read with ours, compare with the independent reader, and return outcome and message.

    Parameters
    ----------
    kind, path
        Kind of the file, and where it is, in a folder below `folder`.
    folder
        Takes what the processes say.
    """
    values, lines = folder / "values.npy", folder / "lines"
    found = in_a_process(lambda: foreseen(lambda: _ours(path, values)), lines)
    if "died" in found:
        return found["died"], found["message"]
    own = lines.read_text(encoding="utf-8", errors="replace").strip()
    if found["outcome"] == "refused" and (own or "\n" in found["message"] or str(folder) not in found["message"]):
        return "refused otherwise", f"{found['message']} | {own}"
    if found["outcome"] != "read":
        return found["outcome"], found["message"]
    other = in_a_process(lambda: _compared(kind, path, values, found["spacing"]), folder / "lines of the other")
    if other.get("outcome") == "same":
        return "correct", ""
    told = other.get("message", "")
    if found["notes"]:
        return "noted", f"{found['notes'][0]} | {told}"
    return ("suspicious" if other.get("outcome") == "differs" else "alone"), told


def _ours(path: Path, kept: Path) -> dict[str, Any]:
    volume = read(path)
    np.save(kept, np.asarray(volume.array()))
    return {"outcome": "read", "spacing": list(volume.spacing), "notes": list(volume.notes)}


def _compared(kind: str, path: Path, kept: Path, spacing: list[float]) -> dict[str, Any]:
    try:
        values, own_spacing = read_independently(kind, path)
    except Exception as error:
        return {"outcome": "refuses", "message": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
    ours = np.load(kept)
    if ours.shape != values.shape:
        return {"outcome": "differs", "message": f"shape {ours.shape}, independently {values.shape}"}
    if not np.allclose(ours, values, rtol=1e-5, atol=1e-3, equal_nan=True):
        return {"outcome": "differs", "message": f"{np.mean(ours != values):.1%} of the values"}
    if own_spacing is not None and not np.allclose(spacing, own_spacing, rtol=1e-4):
        return {"outcome": "differs", "message": f"spacing {spacing}, independently {own_spacing}"}
    return {"outcome": "same"}


def table(cases: list[Case], kinds: Collection[str] = BUILDERS, outcomes: Collection[str] = OUTCOMES) -> str:
    """Counts of the outcomes by kind of file, in Markdown."""
    counts = Counter((case.kind, case.outcome) for case in cases)
    shown = [outcome for outcome in outcomes if outcome in GOOD or any(case.outcome == outcome for case in cases)]
    rows = ["| | " + " | ".join(shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for kind in kinds:
        rows.append(f"| {kind} | " + " | ".join(str(counts[kind, outcome]) for outcome in shown) + " |")
    totals = [sum(counts[kind, outcome] for kind in kinds) for outcome in shown]
    return "\n".join([*rows, "| all | " + " | ".join(map(str, totals)) + " |"])


def run_all(
    what: str, run: Callable[[int, int, Path | None], Case], kinds: Collection[str], outcomes: Mapping[str, str]
) -> None:
    """Run the cases that the command line asks for, print a table of them, and exit with 1 where one ended badly."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--keep", type=Path, help="folder for the files of cases that did not end well")
    parser.add_argument("--show", nargs="*", default=[], help="outcomes of which every case is printed too")
    arguments = parser.parse_args()
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    begun, cases = time.monotonic(), []
    for number in range(arguments.first, arguments.first + arguments.cases):
        case = run(arguments.seed, number, arguments.keep)
        cases.append(case)
        if case.outcome not in GOOD or case.outcome in arguments.show:
            print(f"case {number}, {case.kind} ({'; '.join(case.damage)}): {case.outcome}: {case.message}", flush=True)
    took = time.monotonic() - begun
    print(f"\n{len(cases)} cases of seed {arguments.seed} in {took:.0f} s\n\n{table(cases, kinds, outcomes)}\n")
    for outcome, meaning in outcomes.items():
        print(f"* {outcome}: {meaning}")
    sys.exit(1 if any(case.outcome not in GOOD for case in cases) else 0)


if __name__ == "__main__":
    run_all(__doc__.splitlines()[0], run_case, BUILDERS, OUTCOMES)
