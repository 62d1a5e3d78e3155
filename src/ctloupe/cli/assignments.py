"""Options of the form ``--set key=value``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.yaml_text import parse_yaml


def assigned(texts: Iterable[str], example: str) -> dict[str, Any]:
    """Values by key of texts ``key=value``; each value is read as YAML.

    Raises
    ------
    OptionError
        If a text has no key or no value; the message shows `example`.
    """
    import yaml

    pairs: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise OptionError(f"--set {text}: expected key=value, for instance {example}")
        try:
            parsed = parse_yaml(value)
        except yaml.YAMLError as error:
            raise OptionError(f"--set {text}: {value} is no YAML value; for instance {example}") from error
        try:
            # YAML 1.1 takes 1e-4 for a string.
            pairs[key.strip()] = float(parsed) if isinstance(parsed, str) else parsed
        except ValueError:
            pairs[key.strip()] = parsed
    return pairs
