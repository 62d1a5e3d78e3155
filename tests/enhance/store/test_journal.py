"""A journal is read back as it was written, or refused in one line."""

import json

import pytest

from ctloupe.enhance.identity import Identity
from ctloupe.enhance.store.journal import BegunWork, FinishedSlab, Journal
from ctloupe.enhance.tiling import Tiling
from ctloupe.foundation.errors import FileError, OptionError


def identity(**changes):
    facts = {"scan": "s", "mask": None, "region": [[0, 9], [0, 4], [0, 4]], "model": {}, "precision": "float32"}
    return Identity.model_validate(facts | {"device": "cpu", "options": {"seed": 0}} | changes)


@pytest.fixture
def begun(tmp_path):
    """A journal with four of nine slices done."""
    journal = Journal(tmp_path / "fine.ome.zarr")
    journal.begin(BegunWork(identity=identity(), tiling=Tiling(tile=(8, 16), copies=2)))
    journal.opened()
    for first in (0, 2):
        journal.record(FinishedSlab(slices=(first, first + 2), residual=(1.5, -0.5, 7), tiles=(3, 1)))
    return journal


def lines_of(journal):
    return journal.folder / "journal.jsonl"


def test_what_is_done_is_read_back(begun):
    again = Journal(begun.output)
    assert again.exists
    again.resume(identity())
    assert again.work == begun.work and again.done == begun.done
    assert again.finished() == {0, 1, 2, 3}
    again.close()
    assert not again.exists and not again.folder.exists()


def test_another_option_is_named(begun):
    with pytest.raises(OptionError, match="begun with another `seed` and `sharpening`; use the same command"):
        Journal(begun.output).resume(identity(options={"seed": 1, "sharpening": 2}))


def test_a_line_cut_off_by_a_crash_is_dropped(begun):
    text = lines_of(begun).read_bytes()
    lines_of(begun).write_bytes(text[:-3])
    again = Journal(begun.output)
    again.resume(identity())
    assert again.finished() == {0, 1}
    again.record(FinishedSlab(slices=(2, 4), residual=(1.5, -0.5, 7), tiles=(3, 1)))
    assert lines_of(begun).read_bytes() == text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: [*lines[:1], b"{", *lines[1:]], "journal.jsonl: not a valid journal"),
        (lambda lines: [], "journal.jsonl: not a valid journal"),
        (lambda lines: [b'{"scan": "s"}', *lines[1:]], "'identity'"),
        (lambda lines: [lines[0], json.dumps({"slices": [0]}).encode()], "'slices"),
    ],
)
def test_anything_else_is_refused_and_says_how_to_go_on(begun, change, told):
    lines = change(lines_of(begun).read_bytes().splitlines())
    lines_of(begun).write_bytes(b"".join(line + b"\n" for line in lines))
    with pytest.raises(FileError, match=f"{told}.*start over without `resume`"):
        Journal(begun.output).resume(identity())
