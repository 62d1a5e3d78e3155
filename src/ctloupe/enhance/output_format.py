"""What the format of an output allows."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ctloupe.foundation.atomic import full_suffix

_STREAMED: Final = ".ome.zarr"

_WHOLE_IN_MEMORY: Final = (".mha", ".mhd", ".nrrd")
"""Formats whose library wants the whole volume at once."""


def streams(path: Path) -> bool:
    """Whether an output can be written slab by slab, continued, and shared by workers."""
    return full_suffix(path).lower() == _STREAMED


def held_in_memory(path: Path) -> bool:
    """Whether the whole output has to be in memory to be written."""
    return full_suffix(path).lower() in _WHOLE_IN_MEMORY
