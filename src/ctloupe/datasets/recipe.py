"""What is known of a public data set, as data: licence, where it is, its files or how it is fetched by hand."""

from __future__ import annotations

import shlex
from pathlib import Path, PurePosixPath
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, model_validator

from ctloupe.foundation.definitions import definition_names, load_definition
from ctloupe.foundation.download import checked_checksum, require_address
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.names import Name, checked_name

RECORD: Final = "dataset.json"
"""File in the folder of a set that says where everything in it is from."""

OUT: Final = "{out}"
"""What stands in the commands of a recipe for the folder of the set."""


def _inside(text: str) -> str:
    """Return a path that stays inside its folder, on every system."""
    path = PurePosixPath(text)
    for part in path.parts:
        checked_name(part)
    if not path.parts or str(path) != text or text.casefold() == RECORD:
        raise ValueError(f"expected a path of names inside the folder, other than {RECORD}")
    return text


def _address(text: str) -> str:
    try:
        require_address(text)
    except OptionError as error:
        raise ValueError(str(error)) from error
    return text


def _checksum(text: str) -> str:
    try:
        return checked_checksum(text)
    except OptionError as error:
        raise ValueError(str(error)) from error


Address = Annotated[str, AfterValidator(_address)]
Inside = Annotated[str, AfterValidator(_inside)]


class Licence(BaseModel):
    """Terms on which a set may be used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Short name, as CC BY 4.0; or that none was seen."""
    note: str = ""
    """Who says so, and what else binds."""


class DataFile(BaseModel):
    """One file of a set that can be fetched by its address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Inside
    """Where it goes inside the folder of the set."""
    address: Address
    size: int | None = Field(None, ge=0, strict=True)
    """Published size in bytes, which the file has to have."""
    about: ByteSize | None = None
    """Size in words, as 2.1 GB, where the bytes are not published; for the question and the room on the disk."""
    checksum: Annotated[str, AfterValidator(_checksum)] | None = None
    """Published checksum: its algorithm, a colon and the digits."""
    unpack: Inside | None = None
    """Folder, inside that of the set, that this archive is unpacked into; None: it stays as it is."""

    @property
    def expected(self) -> int | None:
        """Bytes that are to be expected; None where nobody says."""
        return self.size if self.size is not None else self.about


class Role(BaseModel):
    """One of the folders that the volumes of a set are sorted into."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Name
    """Name of the folder: clinical, micro or labels."""
    what: str
    """What belongs into it."""
    optional: bool = False
    """Whether the set may be used without."""
    matching: tuple[str, ...] = ()
    """Patterns of the names in the folder that was fetched by hand, where they are known."""


class Recipe(BaseModel):
    """A public data set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    title: str
    content: str
    """What is in it."""
    licence: Licence
    citation: str
    """What to cite."""
    where: str
    """Where it is, in words."""
    page: Address | None = None
    """Page that people read before they fetch it."""
    size: str
    """Size as far as it is stated, in words."""
    good_for: tuple[str, ...] = Field(min_length=1)
    not_for: tuple[str, ...] = ()
    """What it is not good for, and what to beware of."""
    tried: bool = False
    """Whether who wrote the recipe has fetched the set by it."""
    files: tuple[DataFile, ...] = ()
    """Files that are fetched; none where the set is fetched by hand."""
    steps: tuple[str, ...] = ()
    """What to do by hand."""
    code: str = ""
    """Python that fetches a part of it through a package of others."""
    holds: tuple[Role, ...] = ()
    """Folders that its volumes are sorted into."""
    then: tuple[str, ...] = ()
    """Commands that go on from the folder of the set, which stands in them as {out}."""

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if bool(self.files) == bool(self.steps):
            raise ValueError("a set has either files or steps by hand")
        if self.steps and not self.holds:
            raise ValueError("a set that is fetched by hand says what it holds")
        taken = [one.name for one in self.files] + [one.unpack for one in self.files if one.unpack]
        taken += [one.folder for one in self.holds] if self.steps else []
        paths = [PurePosixPath(one.casefold()) for one in taken]
        if len(set(paths)) != len(paths) or any(one in other.parents for one in paths for other in paths):
            raise ValueError("two files or folders of the set have one name, or lie in each other")
        for command in self.then:
            try:
                known = shlex.split(command)[:1] == ["ctloupe"]
            except ValueError:
                known = False
            if not known:
                raise ValueError(f"{command!r}: expected a command that begins with ctloupe")
        return self

    @property
    def by_hand(self) -> bool:
        """Whether people have to fetch it."""
        return not self.files

    def commands(self, out: Path) -> list[str]:
        """Return the commands that go on from the set in the folder `out`."""
        return [command.replace(OUT, shlex.quote(str(out))) for command in self.then]


def names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return definition_names("ctloupe.datasets", "recipes")


def load_recipe(name: str) -> Recipe:
    """Return a recipe by its name, or from a YAML file of one's own.

    Raises
    ------
    OptionError
        If there is none of that name.
    FileError
        If the file is missing or not valid.
    """
    return load_definition(name, Recipe, "data set", "ctloupe.datasets", "recipes")
