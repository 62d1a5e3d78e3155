"""The card of any model, packed or not."""

from __future__ import annotations

from pathlib import Path

from ctloupe.models.card import card_text
from ctloupe.models.opened import open_package


def card_of(asked: str | Path) -> str:
    """Return the card of a model in Markdown; of one that is not packed, what its description says.

    Raises
    ------
    OptionError
        If it is neither a path that exists nor a name that is known.
    FileError, ModelError
        If a part is missing or damaged.
    """
    package, record = open_package(asked)
    if record is None:
        return card_text(package.card, Path(asked).name, "not stated: the model is not packed")
    return card_text(package.card, record.name, record.licence, record.about, record.demonstration, record.spacing)
