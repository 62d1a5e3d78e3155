"""YAML definitions that come with the package under a name, or are a user's own file."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel

from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.records import validated
from ctloupe.foundation.yaml_text import parse_yaml

Model = TypeVar("Model", bound=BaseModel)


def definition_names(package: str, folder: str) -> list[str]:
    """Return the names of the definitions in a folder of a package."""
    found = files(package) / folder
    return sorted(one.name.removesuffix(".yaml") for one in found.iterdir() if one.name.endswith(".yaml"))


@dataclass(frozen=True)
class Definition:
    """A definition as it is written, not yet checked.

    Attributes
    ----------
    values
        What it says, with its name.
    label
        Words that messages begin with.
    path
        The user's own file; None where it comes with the package.
    """

    values: dict[str, Any]
    label: str
    path: Path | None


def load_definition(name: str, kind: type[Model], what: str, package: str, folder: str) -> Model:
    """Read a definition by its name, or a YAML file by its path; the file's stem is its name.

    Parameters
    ----------
    name
        Name of a definition, or path of a file.
    kind
        Model that the definition has to satisfy.
    what
        Word that messages call it by.
    package, folder
        Package and folder that hold the named definitions.

    Raises
    ------
    OptionError
        If there is none of that name.
    FileError
        If the file is missing or not valid.
    """
    found = read_definition(name, what, package, folder)
    return validated(kind, found.values, found.label, FileError)


def read_definition(name: str, what: str, package: str, folder: str) -> Definition:
    """Read a definition as plain data, of which nothing is checked but that it has keys and values.

    Parameters
    ----------
    name, what, package, folder
        Name or path, word of messages, and where the named ones are, the same as for `load_definition`.

    Raises
    ------
    OptionError
        If there is none of that name.
    FileError
        If the file is missing or holds no mapping.
    """
    known = definition_names(package, folder)
    path: Path | None = None
    label = f"{what} {name}"
    if name in known:
        text = (files(package) / folder / f"{name}.yaml").read_text(encoding="utf-8")
    elif Path(name).suffix not in (".yaml", ".yml"):
        raise OptionError(f"no {what} is called '{name}'; there are: {', '.join(known)}; or give a YAML file")
    else:
        path = Path(name)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise FileError(f"{path}: cannot be read ({error})") from error
        name, label = path.stem, f"{path}: {what}"
    try:
        values = parse_yaml(text)
    except yaml.YAMLError as error:
        raise FileError(f"{label}: not valid YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(values, dict):
        raise FileError(f"{label}: expected a mapping of keys to values")
    return Definition({"name": name} | values, label, path)
