"""Libraries compiled from C are used only where they are whole."""

from pathlib import Path

import pytest

import ctloupe
from ctloupe.foundation.compiled import library

THINNING = Path(ctloupe.__file__).parent / "evaluate" / "compiled"


def test_a_library_is_opened_unless_it_is_older_than_what_is_asked_of_it() -> None:
    if library("_thin", THINNING, []) is None:
        pytest.skip("this installation has no compiled code")
    assert library("_thin", THINNING, ["thin"]) is not None
    assert library("_thin", THINNING, ["thin", "what comes later"]) is None


def test_without_a_library_or_with_a_damaged_one_there_is_none(tmp_path: Path) -> None:
    assert library("_thin", tmp_path, []) is None
    (tmp_path / "_thin.abi3.so").write_bytes(b"of another kind of machine")
    assert library("_thin", tmp_path, []) is None
