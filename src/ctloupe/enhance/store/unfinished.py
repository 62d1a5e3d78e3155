"""Where an enhancing that is not finished keeps what it has made; nothing here needs torch."""

from __future__ import annotations

from typing import Final

from ctloupe.foundation.location import Place

JOURNAL: Final = "journal.jsonl"
"""File of the folder with a line for every finished run of slices."""


def unfinished_folder(output: Place) -> Place:
    """Return the hidden folder beside `output`, the final name of the first store."""
    return output.with_name(f".{output.name}.unfinished")
