"""A blinded rating study: which pictures of which methods each rater sees, in which order, under which names."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.inputs import require_apart, require_plain_file
from ctloupe.foundation.location import Location
from ctloupe.foundation.names import Name
from ctloupe.foundation.records import read_plain, save_record, validated

KEY: Final = "key.csv"
DESIGN: Final = "design.yaml"
INSTRUCTIONS: Final = "instructions.txt"
MOST_ITEMS: Final = 100_000
"""Pictures that a study can show each rater; more than anybody can mark in a working year."""

SIDES: Final = (1, 2)
"""Marks where one of two pictures is chosen: the left one, and the right one."""

Enlargement = Literal["bicubic", "nearest"]
"""How the scan is brought to the pixels of the enhanced volumes: interpolated, or with pixels shown as squares."""

Side = Annotated[int, Field(ge=2, le=512)]
"""Side of a square patch in voxels of the scan."""

Index = Annotated[int, Field(ge=0)]
Place = tuple[Index, Index, Index]
"""Slice, row and column of the scan's voxel in the middle of a patch."""

Row = dict[str, str]
"""An item that is shown, as the key has it."""


class Pictures(BaseModel):
    """What the pictures of a study show: the scan on the left, and what a method made of it on the right."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    side: Side = 32
    enlargement: Enlargement = "bicubic"
    window: tuple[FiniteFloat, FiniteFloat] | None = None
    """Values that are black and white; None leaves it to the anatomy that the patches look like."""
    places: list[Place] | None = None
    """Place of each patch, in the order of the patches; None leaves it to the seed."""

    @model_validator(mode="after")
    def _sound(self) -> Pictures:
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError("the low end of the window must be below the high one")
        return self


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
    choice: bool = False
    """Whether two methods are shown beside the scan and the better one is chosen, instead of one being marked; the
    criteria are then questions, whose marks are 1 for the left one and 2 for the right one."""
    reference: str = ""
    """Paper and section whose experiment this is."""
    instructions: str = ""
    """What raters read before they begin."""
    pictures: Pictures | None = None
    """What the pictures show; None where the study has sheets only."""

    @model_validator(mode="after")
    def _sound(self) -> Design:
        count = self.patches if isinstance(self.patches, int) else len(self.patches)
        shown = len(self.methods) if not self.choice else len(self.methods) * (len(self.methods) - 1) // 2
        if count * shown > MOST_ITEMS:
            raise ValueError(f"{count} patches by {len(self.methods)} methods are more than the {MOST_ITEMS} items")
        if self.choice and any(marks != SIDES for marks in self.criteria.values()):
            raise ValueError("where one of two is chosen, the marks of every criterion are 1 (left) to 2 (right)")
        for what, names in (("methods", self.methods), ("raters", self.raters), ("patches", self.patch_names)):
            # Codes of raters are names of files, and some disks know no capitals.
            alike = [name.casefold() for name in names] if what == "raters" else names
            if len(set(alike)) != len(names):
                raise ValueError(f"{what} are named twice")
        if not self.patch_names:
            raise ValueError("there are no patches")
        if self.repeats > len(self.patch_names) * shown:
            raise ValueError("there are more repeats than items")
        if any(low >= high for low, high in self.criteria.values()):
            raise ValueError("a criterion's lowest mark must be below its highest")
        places = None if self.pictures is None else self.pictures.places
        if places is not None and len(places) != count:
            raise ValueError(f"{len(places)} places are given for {count} patches")
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


def presentation(design: Design) -> list[Row]:
    """Every item that is shown: rater, position, blinded label, and what it is.

    Each rater has an order of his own. Labels say neither method nor patch and are new for each showing, so that a
    repeated item is not recognised by its name; repeats come in the second half.

    Returns
    -------
    list of dict
        Keys rater, position, label, method, patch and showing (1 or 2); where one of two methods is chosen, also the
    ``other``, which is on the right.
    """
    rows = []
    what = [*combinations(design.methods, 2)] if design.choice else [(method,) for method in design.methods]
    things = [(patch, methods) for patch in design.patch_names for methods in what]
    for number, rater in enumerate(design.raters):
        random = np.random.default_rng([design.seed, number])
        order = [things[at] for at in random.permutation(len(things))]
        shown = [(patch, methods, 1) for patch, methods in order]
        again = [order[at] for at in random.choice(len(order), design.repeats, replace=False)]
        for patch, methods in again:
            # After at least half of the items, and behind its own first showing.
            first = shown.index((patch, methods, 1))
            place = int(random.integers(max(first + 1, len(things) // 2), len(shown) + 1))
            shown.insert(place, (patch, methods, 2))
        lowest = 1000
        while 9 * lowest < len(shown):
            lowest *= 10
        labels = random.permutation(9 * lowest)[: len(shown)] + lowest
        for position, ((patch, methods, showing), label) in enumerate(zip(shown, labels, strict=True), 1):
            row = {"rater": rater, "position": str(position), "label": str(label)}
            sides = methods[::-1] if design.choice and random.integers(2) else methods
            row |= {"method": sides[0], "patch": patch, "showing": str(showing)}
            rows.append(row | ({"other": sides[1]} if design.choice else {}))
    return rows


def pictures_of(rater: str) -> str:
    """Name of the folder of a rater's pictures in a study."""
    return f"pictures-{rater}"


def write_study(
    design: Design,
    folder: Path,
    overwrite: bool = False,
    inputs: Iterable[Location | None] = (),
    draw: Callable[[list[Row], Path], None] | None = None,
) -> list[Path]:
    """Write design and key, which no rater may see, and for each rater an empty sheet and, if asked for, pictures.

    Parameters
    ----------
    design
        The study.
    folder
        Folder to make.
    overwrite
        Whether to replace what is there.
    inputs
        Files that the design and the pictures are made from; none may lie in `folder`.
    draw
        Writes the picture of each item into a folder; None: there are sheets only.

    Returns
    -------
    list of Path
        The design, the key, the sheets ``ratings-CODE.csv``, and, where there are any, the folders of pictures
        ``pictures-CODE`` and the instructions.

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
        write_table(temporary / KEY, list(rows[0]), rows)
        for rater in design.raters:
            blank = [
                {"rater": rater, "position": row["position"], "label": row["label"]} | dict.fromkeys(criteria, "")
                for row in rows
                if row["rater"] == rater
            ]
            write_table(temporary / f"ratings-{rater}.csv", ["rater", "position", "label", *criteria], blank)
        if design.instructions:
            (temporary / INSTRUCTIONS).write_text(design.instructions.rstrip() + "\n", "utf-8")
        if draw is not None:
            draw(rows, temporary)
    names = [DESIGN, KEY, *(f"ratings-{rater}.csv" for rater in design.raters)]
    names += [pictures_of(rater) for rater in design.raters if draw is not None]
    return [folder / name for name in names + ([INSTRUCTIONS] if design.instructions else [])]


def write_table(path: Path, columns: list[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows by column as a CSV file in UTF-8."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def read_table(path: Path) -> list[Row]:
    """Read a CSV file in UTF-8 as rows by column.

    Raises
    ------
    FileError
        If it is not there or not readable.
    """
    require_plain_file(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: unreadable as a table ({error}); expected CSV in UTF-8") from error
