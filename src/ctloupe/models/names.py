"""Where models are found by name: those that came with the package, and those that were fetched.

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ctloupe.foundation.download import cache_folder
from ctloupe.foundation.errors import CtLoupeError, OptionError
from ctloupe.models.record import RECORD, PackageRecord, packed_record

_WITH_THE_PACKAGE: Final = Path(__file__).parent / "installed"


@dataclass(frozen=True)
class InstalledModel:
    """A packed model that can be used by its name.

    Attributes
    ----------
    folder
        Where its files are.
    record
        What it says of itself.
    source
        ``package`` where it came with ctloupe, ``fetched`` where it was fetched later.
    """

    folder: Path
    record: PackageRecord
    source: Literal["package", "fetched"]

    @property
    def bytes(self) -> int:
        """Size of its files."""
        return sum(one.stat().st_size for one in self.folder.iterdir() if one.is_file())


def models_folder() -> Path:
    """Return the folder of the fetched models, one folder each; it need not exist."""
    return cache_folder() / "models"


def installed() -> list[InstalledModel]:
    """Return all models that can be used by name, those of the package first; damaged records are left out."""
    found: dict[str, InstalledModel] = {}
    for one in (*_in(_WITH_THE_PACKAGE, "package"), *_in(models_folder(), "fetched")):
        found.setdefault(one.record.name, one)
    return list(found.values())


def _in(folder: Path, source: Literal["package", "fetched"]) -> Iterator[InstalledModel]:
    for record in sorted(folder.glob(f"*/{RECORD}")):
        try:
            read = packed_record(record.parent)
        except CtLoupeError:
            continue
        if read is not None and read.name == record.parent.name:
            yield InstalledModel(record.parent, read, source)


def model_path(asked: str | Path, others: tuple[str, ...] = ()) -> Path:
    """Return the path of the model that `asked` names: a folder, a packed file, or what a name stands for.

    Parameters
    ----------
    asked
        Path or name; a path that exists goes first.
    others
        Names that could have been given as well, for the message.

    Raises
    ------
    OptionError
        If it is neither a path that exists nor a name that is known.
    """
    path = Path(asked)
    if path.exists():
        return path
    known = installed()
    for one in known:
        if one.record.name == str(asked):
            return one.folder
    names = ", ".join([one.record.name for one in known] + list(others)) or "none"
    raise OptionError(
        f"`model` {asked}: no such folder or file, and no model of that name; names here: {names}; "
        "'ctloupe models get' brings others"
    )
