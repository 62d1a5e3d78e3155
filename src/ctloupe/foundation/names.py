"""Names that become names of files: one rule for all of them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator

from ctloupe.foundation.errors import OptionError

LONGEST: Final = 100
"""Characters of a name; file systems take 255 bytes, and suffixes come to it."""

_SIGNS: Final = " -_.+"


def checked_name(text: str) -> str:
    """Return a name that is one part of a path on every system, and leads nowhere else.

    It holds 1 to 100 letters, digits, spaces, ``-``, ``_``, ``.`` and ``+``, begins with a letter or digit, and does
    not end with a space or full stop.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if (
        not 0 < len(text) <= LONGEST
        or not text[0].isalnum()
        or text[-1] in " ."
        or any(not (sign.isalnum() or sign in _SIGNS) for sign in text)
    ):
        raise ValueError(
            f"expected a name of 1 to {LONGEST} letters, digits, spaces, '-', '_', '.' and '+' that begins with a "
            "letter or digit"
        )
    return text


Name = Annotated[str, AfterValidator(checked_name)]
"""A name in a record that becomes the name of a file or folder."""


def require_name(text: str, option: str) -> None:
    """Refuse a name that an option gives, where it is not one.

    Raises
    ------
    OptionError
        If it is not.
    """
    try:
        checked_name(text)
    except ValueError as error:
        raise OptionError(f"`{option}` {text!r}: {error}") from error
