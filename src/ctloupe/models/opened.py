"""A model package read from wherever it is: a run folder, a packed folder, a packed file, or a name."""

from __future__ import annotations

from pathlib import Path

from ctloupe.methods.package import ModelPackage, load_package
from ctloupe.models.archive import unpacked
from ctloupe.models.default import INTERPOLATIONS
from ctloupe.models.names import model_path
from ctloupe.models.record import PackageRecord, packed_record, require_whole


def open_package(asked: str | Path) -> tuple[ModelPackage, PackageRecord | None]:
    """Load the package that `asked` names, and what it says of itself where it is packed.

    Raises
    ------
    OptionError
        If it is neither a path that exists nor a name that is known.
    FileError, ModelError
        If a part is missing, damaged, or not what was packed.
    """
    path = model_path(asked, INTERPOLATIONS)
    if path.is_file():
        with unpacked(path) as (folder, record):
            return load_package(folder), record
    record_there = packed_record(path)
    if record_there is not None:
        require_whole(path, record_there)
    return load_package(path), record_there
