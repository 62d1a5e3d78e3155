"""Phantoms that a suite measures on: kept in a folder each, and made where they are not there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ctloupe.evaluate.suite.definition import CaseSpec, KeptPhantom, PhantomSpec, Suite
from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.records import read_plain, save_record
from ctloupe.phantom.together import in_words, make_together

_RECORD: Final = "spec.json"
"""File beside a phantom that says what it was made with."""


def make_missing(suite: Suite, cases: Sequence[CaseSpec], data: Path, say: Callable[[str], None]) -> None:
    """Make the phantoms that cases need and that are not there, beside each other where that is quicker.

    Parameters
    ----------
    suite, cases
        The suite, and cases of it.
    data
        Folder of the phantoms' folders.
    say
        Told how long it takes and which is being made.
    """
    wanted: dict[str, PhantomSpec] = {}
    for case in cases:
        if case.other is None:
            wanted[suite.specimen_folder(case.group)] = suite.specimens[case.group]
        else:
            wanted[case.other_folder] = other_of(case)
        wanted[case.key] = case
    new = {name: spec for name, spec in wanted.items() if not (data / name / _RECORD).is_file()}
    voxels = [math.prod(spec.size) for spec in new.values()]
    if new:
        say(f"phantoms first: {len(new)}, {in_words(voxels)}")
    items = [(f"phantom {name}", (spec, suite.scale, data / name)) for name, spec in new.items()]
    make_together(_make, items, voxels, say)


def _make(one: tuple[PhantomSpec, int, Path]) -> None:
    phantom_in(*one)


def phantom_in(spec: PhantomSpec, scale: int, folder: Path) -> Path:
    """Return the folder of a phantom, which is made unless it is there with the same specification.

    Raises
    ------
    FileError
        If the folder holds something else.
    """
    record = folder / _RECORD
    wanted = KeptPhantom(**spec.model_dump(exclude={"key", "group", "other"}), scale=scale)
    kept = read_plain(record, "specification of a phantom", "delete its folder") if record.is_file() else None
    if describes(kept, wanted):
        return folder
    if kept is None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileError(f"{folder}: is not a phantom of a suite and is not replaced; give another `data`")
    with replacing(folder, overwrite=True) as temporary:
        spec.make(scale).write(temporary)
        save_record(temporary / record.name, wanted)
    return folder


def other_of(case: CaseSpec) -> PhantomSpec:
    """Return the other phantom of a kernel pair."""
    return case.model_copy(update=case.other.model_dump() if case.other is not None else {})


def describes(kept: Any, spec: PhantomSpec) -> bool:
    """Return whether a record of before says the same as a specification, be it in the words of an earlier version."""
    try:
        return type(spec).model_validate(kept) == spec
    except ValidationError:
        return False
