"""Bringing a packed model to where it is found by name: from a file, an address, or an index of models."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.download import SCHEMES, fetch
from ctloupe.foundation.errors import ModelError, OptionError
from ctloupe.foundation.lock import locked
from ctloupe.foundation.progress import Progress
from ctloupe.foundation.records import load_record
from ctloupe.models.archive import SUFFIX, unpacked
from ctloupe.models.names import InstalledModel, installed, models_folder
from ctloupe.models.record import SIGNATURE, Checksum, PackageRecord
from ctloupe.models.signature import signer

INDEX: Final = Path(__file__).parent / "index.yaml"
"""Models that can be fetched by name; addresses are data."""


class Entry(BaseModel):
    """Where a model of the index is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    sha256: Checksum
    size: Annotated[int, Field(gt=0)]
    about: str = ""


class Index(BaseModel):
    """Models by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, Entry] = Field(default_factory=dict)


@dataclass(frozen=True)
class GetRequest:
    """What `get_model` is asked for.

    Attributes
    ----------
    source
        Name of the index, address, or file ``*.ctloupe``.
    checksum
        Checksum that the file has to have, for an address; the index has its own.
    public_key
        Key in base64 that has to have signed it; None: anybody's signature, or none, will do.
    index
        File with another index; None: that of the package.
    overwrite
        Whether a model of the same name that was fetched before is replaced.
    """

    source: str
    checksum: str | None = None
    public_key: str | None = None
    index: Path | None = None
    overwrite: bool = False


def get_model(
    request: GetRequest, say: Callable[[str], None] = lambda line: None, progress: Progress | None = None
) -> InstalledModel:
    """Fetch, check and keep a packed model, which can then be used by its name. Nothing in it is run or unpickled.

    Parameters
    ----------
    request
        Which model.
    say
        Told what is fetched and who signed it.
    progress
        Told how much has come.

    Raises
    ------
    OptionError
        If there is no such name, address or file.
    FileError
        If it cannot be fetched.
    ModelError
        If it is no packed model, is damaged, or is signed by somebody else.
    """
    home = models_folder()
    if Path(request.source).is_file():
        return _keep(Path(request.source), home, request, say)
    known = {one.record.name: one for one in installed()}
    if request.source in known and known[request.source].source == "package":
        say(f"{request.source} came with ctloupe; nothing is fetched")
        return known[request.source]
    address, checksum, size = _address(request)
    say(f"fetching {request.source}")
    archive = home / "archives" / _file_name(address)
    fetch(address, archive, checksum=checksum, size=size, progress=progress, overwrite=True)
    kept = _keep(archive, home, request, say)
    archive.unlink(missing_ok=True)
    return kept


def _address(request: GetRequest) -> tuple[str, str | None, int | None]:
    if request.source.partition("://")[0] in SCHEMES:
        return request.source, request.checksum, None
    asked = request.index or INDEX
    index = load_record(asked, Index, "index of models", "give another `index`")
    entry = index.models.get(request.source)
    if entry is None:
        names = ", ".join(index.models) or "none"
        raise OptionError(
            f"`source` {request.source}: no such file, and no such name in the index (its names: {names}); give an "
            f"address or a file *{SUFFIX}. Without a network, bring the file by hand and give its path"
        )
    return entry.address, entry.sha256, entry.size


def _file_name(address: str) -> str:
    name = address.partition("?")[0].rstrip("/").rpartition("/")[2]
    return name if name.endswith(SUFFIX) else f"{name or 'model'}{SUFFIX}"


def _keep(archive: Path, home: Path, request: GetRequest, say: Callable[[str], None]) -> InstalledModel:
    """Put the files of a checked archive where models are found by name."""
    with unpacked(archive) as (folder, record):
        _require_signer(folder, record, request.public_key, say)
        if any(one.record.name == record.name and one.source == "package" for one in installed()):
            raise ModelError(
                f"{archive}: its name {record.name} is that of a model that came with ctloupe; pack it anew"
            )
        place = home / record.name
        with locked(place), replacing(place, request.overwrite) as temporary:
            shutil.copytree(folder, temporary)
    return InstalledModel(place, record, "fetched")


def _require_signer(folder: Path, record: PackageRecord, wanted: str | None, say: Callable[[str], None]) -> None:
    if wanted is None and not (folder / SIGNATURE).exists():
        say(f"{record.name} is not signed: its checksums say that it is whole, not who made it")
        return
    found = signer(folder)
    if wanted is not None and found != wanted:
        raise ModelError(f"{record.name}: signed by {found or 'nobody'}, expected {wanted}; do not use it")
    say(f"{record.name} is signed by the key {found}")
