"""A blinded rating study: which pictures of which methods each rater sees, in which order, under which names."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.names import Name
from ctloupe.foundation.records import read_plain, save_record, validated

KEY: Final = "key.csv"
DESIGN: Final = "design.yaml"
MOST_ITEMS: Final = 100_000
"""Pictures that a study can show each rater; more than anybody can mark in a working year."""


class Design(BaseModel):
    """What a study is made of; the design file holds these keys in YAML."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    methods: list[str] = Field(min_length=2)
    """Names of what is compared; every rater sees every patch by every method."""
    patches: list[str] | Annotated[int, Field(ge=1)]
    """Names of the patches, or how many there are."""
    criteria: dict[str, tuple[int, int]] = Field(min_length=1)
    """Lowest and highest mark of each criterion; higher is better."""
    raters: list[Name] = Field(min_length=1)
    """Codes of the raters, not names of people."""
    repeats: int = Field(0, ge=0)
    """Number of items shown a second time to each rater, for the agreement of raters with themselves."""
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _sound(self) -> Design:
        count = self.patches if isinstance(self.patches, int) else len(self.patches)
        if count * len(self.methods) > MOST_ITEMS:
            raise ValueError(f"{count} patches by {len(self.methods)} methods are more than the {MOST_ITEMS} items")
        for what, names in (("methods", self.methods), ("raters", self.raters), ("patches", self.patch_names)):
            # Codes of raters are names of files, and some disks know no capitals.
            alike = [name.casefold() for name in names] if what == "raters" else names
            if len(set(alike)) != len(names):
                raise ValueError(f"{what} are named twice")
        if not self.patch_names:
            raise ValueError("there are no patches")
        if self.repeats > len(self.patch_names) * len(self.methods):
            raise ValueError("there are more repeats than items")
        if any(low >= high for low, high in self.criteria.values()):
            raise ValueError("a criterion's lowest mark must be below its highest")
        return self

    @property
    def patch_names(self) -> list[str]:
        """Names of the patches, made up where only their number is given."""
        if isinstance(self.patches, int):
            return [f"patch-{number + 1:0{len(str(self.patches))}d}" for number in range(self.patches)]
        return self.patches


def read_design(path: Path) -> Design:
    """Read a design file.

    Raises
    ------
    FileError
        If the file is missing or not YAML.
    OptionError
        If a key is missing, unknown or makes no sense.
    """
    advice = "give the design of a rating study in YAML"
    return validated(Design, read_plain(path, "design", advice), str(path), advice=advice)


def presentation(design: Design) -> list[dict[str, str]]:
    """Every item that is shown: rater, position, blinded label, and what it is.

    Each rater has an order of his own. Labels say neither method nor patch and are new for each showing, so that a
    repeated item is not recognised by its name; repeats come in the second half.

    Returns
    -------
    list of dict
        Keys rater, position, label, method, patch and showing (1 or 2).
    """
    rows = []
    things = [(patch, method) for patch in design.patch_names for method in design.methods]
    for number, rater in enumerate(design.raters):
        random = np.random.default_rng([design.seed, number])
        order = [things[at] for at in random.permutation(len(things))]
        shown = [(patch, method, 1) for patch, method in order]
        again = [order[at] for at in random.choice(len(order), design.repeats, replace=False)]
        for patch, method in again:
            # After at least half of the items, and behind its own first showing.
            first = shown.index((patch, method, 1))
            place = int(random.integers(max(first + 1, len(things) // 2), len(shown) + 1))
            shown.insert(place, (patch, method, 2))
        lowest = 1000
        while 9 * lowest < len(shown):
            lowest *= 10
        labels = random.permutation(9 * lowest)[: len(shown)] + lowest
        for position, ((patch, method, showing), label) in enumerate(zip(shown, labels, strict=True), 1):
            row = {"rater": rater, "position": str(position), "label": str(label)}
            rows.append(row | {"method": method, "patch": patch, "showing": str(showing)})
    return rows


def write_study(
    design: Design, folder: Path, overwrite: bool = False, inputs: Iterable[Path | None] = ()
) -> list[Path]:
    """Write the key, which no rater may see, and an empty sheet for each rater.

    Parameters
    ----------
    design
        The study.
    folder
        Folder to make.
    overwrite
        Whether to replace what is there.
    inputs
        Files that the design was read from; none may lie in `folder`.

    Returns
    -------
    list of Path
        The design, the key, and the sheets ``ratings-CODE.csv``.

    Raises
    ------
    FileError
        If `folder` exists without `overwrite`, holds an input, or cannot be written.
    """
    require_apart(inputs, [folder])
    rows = presentation(design)
    criteria = list(design.criteria)
    with replacing(folder, overwrite) as temporary:
        temporary.mkdir()
        save_record(temporary / DESIGN, design)
        _table(temporary / KEY, list(rows[0]), rows)
        for rater in design.raters:
            blank = [
                {"rater": rater, "position": row["position"], "label": row["label"]} | dict.fromkeys(criteria, "")
                for row in rows
                if row["rater"] == rater
            ]
            _table(temporary / f"ratings-{rater}.csv", ["rater", "position", "label", *criteria], blank)
    return [folder / DESIGN, folder / KEY, *(folder / f"ratings-{rater}.csv" for rater in design.raters)]


def _table(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
