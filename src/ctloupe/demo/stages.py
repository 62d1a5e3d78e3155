"""Time and peak memory of each stage of the demo."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

_LOOK_SECONDS: Final = 0.2
"""Time from one look at the memory of other processes to the next."""

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Stages:
    """Measures stages one after the other.

    Attributes
    ----------
    rows : list of (name, seconds, peak resident memory in MB)
        One row for each finished stage. The memory is that of this process and, as it was seen five times a second, of
        those that it began; None where the system does not tell.
    """

    rows: list[tuple[str, float, float | None]] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Run a stage and tell standard error of it."""
        print(f"demo: {name} …", file=sys.stderr, flush=True)
        _reset_peak()
        begun = time.monotonic()
        with _begun_processes() as seen:
            yield
        seconds, peak = time.monotonic() - begun, _peak_mb()
        if peak is not None:
            peak += max(seen)
        self.rows.append((name, seconds, peak))
        memory = f", peak memory {peak:.0f} MB" if peak is not None else ""
        print(f"demo: {name}: {seconds:.0f} s{memory}", file=sys.stderr, flush=True)


@contextmanager
def _begun_processes() -> Iterator[list[float]]:
    """Yield the memory in MB that processes which are begun in the block had together, each time it was looked at."""
    found, over, own = [0.0], threading.Event(), psutil.Process()
    before = set(own.children(recursive=True))

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            held = 0
            for one in set(own.children(recursive=True)) - before:
                with suppress(psutil.Error):
                    held += one.memory_info().rss
            found.append(held / 2**20)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield found
    finally:
        over.set()
        looking.join()


def _reset_peak() -> None:
    """Start a new peak; possible on Linux only."""
    if _RESET.exists():
        try:
            _RESET.write_text("5", encoding="ascii")
        except OSError:
            return


def _peak_mb() -> float | None:
    if not _STATUS.is_file():
        return None
    lines = dict(line.split(":", 1) for line in _STATUS.read_text(encoding="utf-8").splitlines() if ":" in line)
    return int(lines["VmHWM"].split()[0]) / 1024
