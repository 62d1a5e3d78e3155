"""Errors that people can cause.

Each message is one line that names the file or option, what was found, what was expected and what to do. Options stand
in backquotes under the name they have in Python, as `voxel_size`; the command line writes them as its own flags.
Anything that is not a `CtLoupeError` is a bug in this package.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ctloupe.foundation.foreign_text import printable

_MOST_CHARACTERS = 2000
_TAIL = 500
_OPTION = re.compile(r"`([a-z][a-z0-9_]*)`")


class CtLoupeError(Exception):
    """Base of every error a user can cause and mend; the command line prints it and exits with status 2."""

    def __str__(self) -> str:
        """Return the message as one line of moderate length; what it quotes of files may be anything."""
        told = printable(super().__str__())
        return told if len(told) <= _MOST_CHARACTERS else f"{told[: _MOST_CHARACTERS // 2]} … {told[-_TAIL:]}"

    @property
    def option(self) -> str | None:
        """Name of the option that the error is about: the first that its message names."""
        found = _OPTION.search(str(self))
        return found[1] if found else None


class FileError(CtLoupeError):
    """A file or folder is missing, damaged, of an unknown kind, or cannot be written."""


class GeometryError(CtLoupeError):
    """Spacing, origin, direction, shape or slice positions are absent, contradictory or unsupported."""


class IntensityError(CtLoupeError):
    """Voxel values are not finite, not greyscale, or outside what the operation can accept."""


class OptionError(CtLoupeError):
    """An option, configuration key or value is unknown, out of range or contradicts another."""


class ModelError(CtLoupeError):
    """A model package is damaged or does not fit the scan."""


class TrainingError(CtLoupeError):
    """Training cannot start or go on."""


class Interrupted(CtLoupeError):
    """The user stopped the work; what was done is saved and can be continued."""


class MissingExtraError(CtLoupeError):
    """An optional part of the installation is needed and absent."""


def with_options(text: str, written: Callable[[str], str]) -> str:
    """Replace the options that `text` names in backquotes by what `written` makes of their names."""
    return _OPTION.sub(lambda found: written(found[1]), text)
