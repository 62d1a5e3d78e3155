"""A journal is read back as it was written, or refused in one line."""

import pytest

from ctloupe.enhance.identity import Identity
from ctloupe.enhance.store.journal import BegunWork, FinishedSlab, Journal
from ctloupe.enhance.tiling import Tiling
from ctloupe.foundation.errors import FileError, OptionError


def identity(**changes):
    facts = {"scan": "s", "mask": None, "region": [[0, 9], [0, 4], [0, 4]], "model": {}, "precision": "float32"}
    return Identity.model_validate(facts | {"device": "cpu", "options": {"seed": 0}} | changes)


MARK = (12, 345)


@pytest.fixture
def begun(tmp_path):
    """A journal with four of nine slices done."""
    journal = Journal(tmp_path / "fine.ome.zarr")
    journal.begin()
    journal.opened(BegunWork(identity=identity(), tiling=Tiling(tile=(8, 16), copies=2), stores={"values": MARK}))
    for first in (0, 2):
        journal.record(slab(first))
    return journal


def slab(first):
    return FinishedSlab(
        slices=(first, first + 2), residual=(1.5, -0.1, 7), tiles=(3, 1), marks={"values": (MARK, (0, 0))}
    )


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
    again.record(slab(2))
    assert lines_of(begun).read_bytes() == text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: [*lines[:1], b"{", *lines[1:]], "journal.jsonl: not a valid journal"),
        (lambda lines: [], "journal.jsonl: not a valid journal"),
        (lambda lines: [b'{"scan": "s"}', *lines[1:]], "'says'"),
        (lambda lines: lines[1:], "it was changed"),
        (lambda lines: [lines[0], lines[2]], "it was changed"),
        (lambda lines: [*lines, lines[-1]], "it was changed"),
        (lambda lines: [lines[0].replace(b"[8, 16]", b"[8, 32]"), *lines[1:]], "it was changed"),
        (lambda lines: [*lines[:2], lines[2].replace(b"[2, 4]", b"[2, 9]")], "it was changed"),
        (lambda lines: [*lines[:2], lines[2].replace(b"1.5", b"1.25")], "it was changed"),
    ],
)
def test_anything_else_is_refused_and_says_how_to_go_on(begun, change, told):
    lines = change(lines_of(begun).read_bytes().splitlines())
    lines_of(begun).write_bytes(b"".join(line + b"\n" for line in lines))
    with pytest.raises(FileError, match=f"{told}.*start over without `resume`"):
        Journal(begun.output).resume(identity())


def test_slices_that_are_not_as_noted_are_forgotten_for_good(begun):
    found = {0: MARK, 1: (0, 0), 2: MARK, 3: (0, 1)}
    again = Journal(begun.output)
    again.resume(identity())
    described = {"values": MARK}
    assert again.require_whole(lambda z: {"values": found[z]}, described) == [2]
    assert again.finished() == {0, 1}
    found[3] = (0, 0)
    again.record(slab(2))
    later = Journal(begun.output)
    later.resume(identity())
    assert later.require_whole(lambda z: {"values": found[z]}, described) == [] and later.done == begun.done


@pytest.mark.parametrize("described", [{}, {"values": (12, 346)}])
def test_a_store_that_is_not_as_it_was_begun_is_refused(begun, described):
    with pytest.raises(FileError, match="'values' is not as it was begun; start over without `resume`"):
        begun.require_whole(lambda z: {"values": MARK}, described)


def test_slices_beyond_the_work_are_refused(begun):
    begun.record(slab(8))
    with pytest.raises(FileError, match="slices 8:10 are not of this work"):
        Journal(begun.output).resume(identity())
