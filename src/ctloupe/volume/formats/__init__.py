"""Every file format that a volume comes from and goes to.

A format is one object in a folder of its own (`base.Format`) and one line in `registry`; whatever reads or writes a
volume asks the object and knows no format by its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctloupe.volume.formats.detection import detect, format_of
from ctloupe.volume.formats.parts import parts_read, parts_written
from ctloupe.volume.formats.reading import coarser, read
from ctloupe.volume.formats.registry import formats, readable_suffixes, writable_suffixes
from ctloupe.volume.formats.writing import format_of_output, require_writable, source_files, write

if TYPE_CHECKING:
    READABLE: tuple[str, ...]
    WRITABLE: tuple[str, ...]

__all__ = [
    "READABLE",
    "WRITABLE",
    "coarser",
    "detect",
    "format_of",
    "format_of_output",
    "formats",
    "parts_read",
    "parts_written",
    "read",
    "require_writable",
    "source_files",
    "write",
]


def __getattr__(name: str) -> tuple[str, ...]:
    # Asked for when used, since formats from other packages are imported for it.
    if name == "READABLE":
        return readable_suffixes()
    if name == "WRITABLE":
        return writable_suffixes()
    raise AttributeError(f"module 'ctloupe.volume.formats' has no attribute '{name}'")
