"""Read thousands of damaged volumes and count what came of it.

python -m fuzz.run --cases 10000 --seed 1
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctloupe.foundation.errors import CtLoupeError
from ctloupe.volume.formats import read
from fuzz.mutations import damage
from fuzz.oracle import read_independently
from fuzz.small_volumes import BUILDERS

MEMORY = 6 << 30
"""Address space of a process that reads, in bytes."""

SECONDS = 60

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
GOOD = ("correct", "noted", "alone", "refused")


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
            shutil.copytree(folder, keep / f"{outcome}-{seed}-{number}".replace(" ", "-"), copy_function=_copy_file)
    return Case(number, kind, told, outcome, message.replace(made, ""))


def _copy_file(source: str, target: str) -> None:
    """Copy a plain file; a pipe is made anew."""
    if Path(source).is_file():
        shutil.copy(source, target)
    else:
        os.mkfifo(target)


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
    found = _in_a_process(lambda: _ours(path, values), lines)
    if "died" in found:
        return found["died"], found["message"]
    own = lines.read_text(encoding="utf-8", errors="replace").strip()
    if found["outcome"] == "refused" and (own or "\n" in found["message"] or str(folder) not in found["message"]):
        return "refused otherwise", f"{found['message']} | {own}"
    if found["outcome"] != "read":
        return found["outcome"], found["message"]
    other = _in_a_process(lambda: _compared(kind, path, values, found["spacing"]), folder / "lines of the other")
    if other.get("outcome") == "same":
        return "correct", ""
    told = other.get("message", "")
    if found["notes"]:
        return "noted", f"{found['notes'][0]} | {told}"
    return ("suspicious" if other.get("outcome") == "differs" else "alone"), told


def _ours(path: Path, kept: Path) -> dict[str, Any]:
    try:
        volume = read(path)
        values = np.asarray(volume.array())
    except CtLoupeError as error:
        return {"outcome": "refused", "message": str(error)}
    except MemoryError as error:
        return {"outcome": "memory", "message": repr(error)}
    except Exception:
        return {"outcome": "traceback", "message": traceback.format_exc()}
    np.save(kept, values)
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


def _in_a_process(work: Callable[[], dict[str, Any]], lines: Path) -> dict[str, Any]:
    """Do the work in a process of limited memory and time, and return what it found or how it died."""
    end, beginning = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        _limited(lines)
        os.write(beginning, json.dumps(work()).encode())
        os._exit(0)
    os.close(beginning)
    with os.fdopen(end, "rb") as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return {"died": "hang" if name == "SIGALRM" else "crash", "message": name}
    if not text:
        return {"died": "crash", "message": f"no answer, status {os.WEXITSTATUS(status)}"}
    answered: dict[str, Any] = json.loads(text)
    return answered


def _limited(lines: Path) -> None:
    out = os.open(lines, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(out, stream)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)


def table(cases: list[Case]) -> str:
    """Counts of the outcomes by kind of file, in Markdown."""
    counts = Counter((case.kind, case.outcome) for case in cases)
    shown = [outcome for outcome in OUTCOMES if outcome in GOOD or any(case.outcome == outcome for case in cases)]
    rows = ["| | " + " | ".join(shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for kind in BUILDERS:
        rows.append(f"| {kind} | " + " | ".join(str(counts[kind, outcome]) for outcome in shown) + " |")
    totals = [sum(counts[kind, outcome] for kind in BUILDERS) for outcome in shown]
    return "\n".join([*rows, "| all | " + " | ".join(map(str, totals)) + " |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
        case = run_case(arguments.seed, number, arguments.keep)
        cases.append(case)
        if case.outcome not in GOOD or case.outcome in arguments.show:
            print(f"case {number}, {case.kind} ({'; '.join(case.damage)}): {case.outcome}: {case.message}", flush=True)
    print(f"\n{len(cases)} cases of seed {arguments.seed} in {time.monotonic() - begun:.0f} s\n\n{table(cases)}\n")
    for outcome, meaning in OUTCOMES.items():
        print(f"* {outcome}: {meaning}")
    sys.exit(1 if any(case.outcome not in GOOD for case in cases) else 0)


if __name__ == "__main__":
    main()
