"""Records in JSON and YAML: written whole, read with a schema, refused with one line that names file and key."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import CtLoupeError, FileError, OptionError
from ctloupe.foundation.inputs import require_plain_file
from ctloupe.foundation.location import Location, Remote
from ctloupe.foundation.yaml_text import parse_yaml

_MOST_SAID = 500
"""Characters of a message, which may quote what was found."""

Model = TypeVar("Model", bound=BaseModel)


def fault(error: ValidationError) -> str:
    """Return the first thing wrong with a record in words: key, what was expected, and what was found."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])[:_MOST_SAID]
    found = "" if first["type"] == "missing" or not key else f" (found {_short(first['input'])})"
    said = first["msg"].removeprefix("Value error, ")
    return f"{f'key {key!r}: ' if key else ''}{said[:_MOST_SAID]}{'...' * (len(said) > _MOST_SAID)}{found}"


def validated(
    kind: type[Model], values: Any, where: str, refusal: type[CtLoupeError] = OptionError, advice: str = ""
) -> Model:
    """Return plain data as a model.

    Parameters
    ----------
    kind
        Model that the values have to satisfy.
    values
        Mappings, lists, numbers and strings.
    where
        File or record that the values are from, for the message.
    refusal
        Type of the error to raise.
    advice
        What to do about it, for the end of the message.

    Raises
    ------
    CtLoupeError
        If they are not valid; the error is a `refusal` and says `where` and the key in one line.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        unknown = error.errors()[0]["type"] == "extra_forbidden"
        keys = f"; keys are: {', '.join(kind.model_fields)}" if unknown and len(error.errors()[0]["loc"]) == 1 else ""
        raise refusal(f"{where}: {fault(error)}{keys}{f'; {advice}' if advice else ''}") from error


def load_record(path: Path, kind: type[Model], what: str, advice: str) -> Model:
    """Read a record that has the schema `kind` from a JSON or YAML file.

    Parameters
    ----------
    path
        File; one with the suffix ``.json`` or none is read as JSON, any other as YAML.
    kind
        Model that the content has to satisfy.
    what
        What the file should be, for the message: "model card".
    advice
        What to do when it is not one, for the end of the message.

    Raises
    ------
    FileError
        If the file is missing, unreadable, or its content is not valid.
    """
    return validated(kind, read_plain(path, what, advice), f"{path}: not a valid {what}", FileError, advice)


def read_plain(path: Location, what: str, advice: str) -> Any:
    """Read a JSON or YAML file as plain data.

    Parameters
    ----------
    path, what, advice
        File, what it should be, and what to do when it is not, as in `load_record`.

    Raises
    ------
    FileError
        If the file is missing, unreadable, or not JSON or YAML.
    """
    if not isinstance(path, Remote):
        require_plain_file(path)
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix in (".json", "") else parse_yaml(text)
    except FileNotFoundError as error:
        raise FileError(f"{path}: no {what} is here; {advice}") from error
    except (OSError, UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileError(f"{path}: not a valid {what}: {why}; {advice}") from error


def save_record(path: Path, record: BaseModel | dict[str, Any] | list[Any], overwrite: bool = True) -> None:
    """Write a record; the file appears whole or not at all.

    A file with the suffix ``.yaml`` or ``.yml`` is YAML, any other indented JSON. Numbers that are not finite are
    refused in JSON, which has none; `finite` takes them out.

    Raises
    ------
    FileError
        If it exists without `overwrite` or cannot be written.
    """
    values = record.model_dump(mode="json") if isinstance(record, BaseModel) else record
    with replacing(path, overwrite) as temporary:
        if path.suffix in (".yaml", ".yml"):
            text = yaml.safe_dump(values, sort_keys=False)
        else:
            text = json.dumps(values, indent=2, allow_nan=False) + "\n"
        temporary.write_text(text, encoding="utf-8")


def finite(values: Any) -> Any:
    """Return plain data with None in place of each number that is not finite."""
    if isinstance(values, dict):
        return {key: finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [finite(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
