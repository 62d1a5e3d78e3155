"""What other packages that are installed add to this one, by entry points."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points


@cache
def plug_ins(group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group, by name, which are looked for once: that opens a file of every package.

    Parameters
    ----------
    group
        Name of the group, as ``ctloupe.methods``.
    """
    return tuple(sorted(entry_points(group=group), key=lambda entry: entry.name))
