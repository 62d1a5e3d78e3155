"""The table in docs/formats.md says what the formats say of themselves."""

import re
from pathlib import Path

import pytest

from ctloupe.volume.formats import formats

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")
LINES = [re.split(r" *\| *", line)[1:-1] for line in PAGE.splitlines() if line.startswith("| ")]
ROWS = {cells[0]: cells[1:] for cells in LINES}


def suffixes(cell):
    return set(re.findall(r"`(\.[a-z.]+)`", cell)) - {".raw"}


@pytest.mark.parametrize("kind", formats(), ids=lambda kind: kind.name)
def test_the_row_of_a_format_is_true(kind):
    read, _, written, pieces, oblique = ROWS[kind.title]
    assert suffixes(read) | suffixes(written) == set(kind.suffixes)
    assert suffixes(written) == set(kind.writable_suffixes)
    assert read.startswith("folder") == kind.holds_slices
    assert pieces.startswith("no") != kind.streams
    assert ("resumed" in pieces) == kind.resumable
    assert oblique.startswith("yes") == kind.holds_direction
