"""YAML definitions that come with the package under a name, or are a user's own file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TypeVar

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
    known = definition_names(package, folder)
    path, label = Path(name), f"{what} {name}"
    if name in known:
        text = (files(package) / folder / f"{name}.yaml").read_text(encoding="utf-8")
    elif path.suffix not in (".yaml", ".yml"):
        raise OptionError(f"no {what} is called '{name}'; there are: {', '.join(known)}; or give a YAML file")
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(f"{path}: cannot be read ({error})") from error
        name, label = path.stem, f"{path}: {what}"
    try:
        values = parse_yaml(text)
    except yaml.YAMLError as error:
        raise FileError(f"{label}: not valid YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(values, dict):
        raise FileError(f"{label}: expected a mapping of keys to values")
    return validated(kind, {"name": name} | values, label, FileError)
