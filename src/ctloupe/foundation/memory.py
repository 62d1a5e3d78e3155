"""Memory that this process may still use: of the machine, or of the container that it runs in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_CGROUPS: Final = Path("/sys/fs/cgroup")
_OWN_CGROUPS: Final = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Memory:
    """Memory in bytes.

    Attributes
    ----------
    total
        Memory of the machine, or the limit of the container where that is smaller.
    available
        Memory that can be had without swapping; the cache of files, which the system gives up on demand, counts.
    """

    total: int
    available: int


def memory(cgroups: Path = _CGROUPS, own: Path = _OWN_CGROUPS) -> Memory:
    """Measure the memory now.

    Parameters
    ----------
    cgroups, own
        Places where Linux tells of control groups, and of those that this process is in.
    """
    machine = psutil.virtual_memory()
    total, available = int(machine.total), int(machine.available)
    for folder in _groups(cgroups, own):
        limit, used = _limit(folder)
        if limit is not None:
            total, available = min(total, limit), min(available, max(0, limit - used))
    return Memory(total, available)


def _groups(cgroups: Path, own: Path) -> list[Path]:
    """Return the folders of the control groups whose memory limits bind this process: its own and all above it."""
    try:
        lines = [line.split(":", 2) for line in own.read_text(encoding="ascii").splitlines()]
    except (OSError, UnicodeDecodeError):
        return []
    found: list[Path] = []
    for _, controllers, name in (line for line in lines if len(line) == 3):
        if controllers and "memory" not in controllers.split(","):
            continue
        root = cgroups / "memory" if controllers else cgroups
        # Inside a container its own group is mounted as the root, whatever name the host has for it.
        group = root / name.strip("/")
        found += [one for one in (group, *group.parents) if one == root or root in one.parents]
    return found


def _limit(folder: Path) -> tuple[int | None, int]:
    """Return the limit of a control group, None when it has none, and how much is in use and cannot be given up."""
    for limit, usage, statistics, cache in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat", "total_inactive_file"),
    ):
        try:
            asked = (folder / limit).read_text(encoding="ascii").strip()
            used = int((folder / usage).read_text(encoding="ascii"))
            lines = (folder / statistics).read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            continue
        reclaimable = next((int(line.split()[1]) for line in lines if line.startswith(f"{cache} ")), 0)
        return (int(asked) if asked.isdigit() else None), max(0, used - reclaimable)
    return None, 0
