"""What a packed model says of itself, and whether its files are the ones that were packed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ctloupe.foundation.download import sha256_of
from ctloupe.foundation.errors import ModelError
from ctloupe.foundation.inputs import require_plain_file
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.foundation.records import load_record
from ctloupe.methods.package_files import DESCRIPTION, WEIGHTS

RECORD: Final = "package.json"
SIGNATURE: Final = "package.sig"
CARD: Final = "CARD.md"
LICENCE: Final = "LICENSE"
CONTENTS: Final = (DESCRIPTION, WEIGHTS, CARD, LICENCE)
"""Files of a packed model beside its record and its signature."""

Checksum = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class PackageRecord(BaseModel):
    """Record of a packed model: what it is called, under which terms it may be used, and what belongs to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    """Name that it is used by."""
    about: Annotated[str, Field(max_length=500)] = ""
    """What it is, in a sentence or two."""
    demonstration: Annotated[str, Field(max_length=500)] = ""
    """What is said at every use of a model that is there to be tried; empty for one that is meant."""
    method: str
    scale: int
    spacing: tuple[float, float] | None = None
    """Smallest and largest in-plane voxel size in mm that it may be used at without being asked; None: as trained."""
    licence: Annotated[str, Field(min_length=1, max_length=100)]
    """Name of the licence, an SPDX identifier where it has one; its text is beside it."""
    files: dict[str, Checksum]
    """Checksums of `CONTENTS`."""
    notice: str = RESEARCH_NOTICE


def packed_record(folder: Path) -> PackageRecord | None:
    """Return the record of a packed model; None of a folder that is none, such as ``model`` of a training run.

    Raises
    ------
    FileError
        If the record is damaged.
    """
    if not (folder / RECORD).exists():
        return None
    return load_record(folder / RECORD, PackageRecord, "record of a packed model", "get the model again")


def require_whole(folder: Path, record: PackageRecord) -> None:
    """Check that the files in `folder` are those of the record.

    Raises
    ------
    ModelError
        If one is missing, or is not what was packed.
    """
    for name in CONTENTS:
        file = folder / name
        if name not in record.files or not file.is_file():
            raise ModelError(f"{file}: is missing from the packed model; get it again")
        require_plain_file(file)
        if sha256_of(file) != record.files[name]:
            raise ModelError(f"{file}: is not the file that was packed, its checksum differs; get the model again")
