"""Where everything in the folder of a set is from."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ctloupe.datasets.recipe import RECORD, Recipe
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.records import load_record, save_record


class Provenance(BaseModel):
    """Where one file is from, and what was found in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Path inside the folder of the set."""
    source: str
    """Address without passwords, or the page from which people fetched it."""
    size: int
    sha256: str
    """Checksum that was found."""
    published: str | None = None
    """Checksum that was published, which the file has."""
    unpacked: str | None = None
    """Folder that it was unpacked into."""
    date: str
    """When it was found right, in UTC."""


class DatasetRecord(BaseModel):
    """The content of ``dataset.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    name: str
    licence: str
    citation: str
    recipe: Recipe
    files: tuple[Provenance, ...]
    software: str


def now() -> str:
    """Return date and time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_record(out: Path, recipe: Recipe, files: list[Provenance]) -> Path:
    """Write ``dataset.json``, keeping what an earlier one says of other files that are still there.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    path = out / RECORD
    new = {one.name for one in files}
    with suppress(FileError):
        earlier = load_record(path, DatasetRecord, "record of a data set", "it is replaced")
        if earlier.name == recipe.name:
            files = [one for one in earlier.files if one.name not in new and (out / one.name).exists()] + files
    record = DatasetRecord(
        name=recipe.name,
        licence=recipe.licence.name,
        citation=recipe.citation,
        recipe=recipe,
        files=tuple(sorted(files, key=lambda one: one.name)),
        software=f"ctloupe {version('ctloupe')}",
    )
    save_record(path, record)
    return path
