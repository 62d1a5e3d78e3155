"""Durations and sizes as people say them."""

from __future__ import annotations


def duration_in_words(seconds: float) -> str:
    """Return a duration in seconds, minutes or hours: ``45 s``, ``10 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size_in_words(size: float) -> str:
    """Return a number of bytes in the unit that suits it: ``850 bytes``, ``2.1 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
