"""Text from others (file names, values of headers, names in records) where people read it."""

from __future__ import annotations

import re
from unicodedata import category


def printable(text: str) -> str:
    """Return foreign text as one line that cannot steer a terminal.

    What is neither visible nor a space is written as its escape: line ends, control characters, marks that turn the
    direction of text, and bytes of file names that are no text.
    """
    return "".join(one if one.isprintable() or category(one) == "Zs" else ascii(one)[1:-1] for one in text)


def in_markdown(text: str) -> str:
    """Return foreign text as one line that Markdown shows as it is: no table, link, code or HTML comes of it."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", printable(text))
