"""What a study is: rows of method configurations, protocols, and the paper's numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ctloupe.foundation.definitions import definition_names, read_definition
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.names import Name
from ctloupe.foundation.records import validated
from ctloupe.studies.recipe import PHANTOM, Recipe

Scale = Literal["tiny", "small", "paper"]
SCALES: tuple[Scale, ...] = get_args(Scale)
Protocol = Literal["paired-phantom", "jmi", "jmi-code", "synth", "isbi", "cost"]


class Effort(BaseModel):
    """How much data and training each row of a study takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: tuple[int, int, int]
    """Voxels (z, y, x) of the fine grid of each phantom."""
    cases: int = Field(ge=1)
    """Number of clinical training phantoms."""
    micro_cases: int | None = Field(None, ge=1)
    """Number of µCT training phantoms; None: as many as clinical ones."""
    test_cases: int = Field(1, ge=1)
    """Number of phantoms that no training has seen."""
    per_case: int = Field(ge=1)
    """Number of patches from each volume."""
    test_patches: int = Field(64, ge=1)
    """Number of µCT patches, over all test volumes, that the protocols of patches compare."""
    minutes: float | None = Field(None, gt=0)
    """Minutes of each training; None leaves it to the method's own epochs."""
    steps: int | None = Field(None, ge=1)
    """Steps of each training, instead of minutes."""


class Budget(Effort):
    """How much data and training a study takes at one of its scales, and how often each row is trained."""

    seeds: int = Field(ge=1)
    """Number of trainings of each row."""

    @property
    def micros(self) -> int:
        """Number of µCT training phantoms."""
        return self.micro_cases or self.cases


BUDGETS: dict[Scale, Budget] = {
    "tiny": Budget(size=(64, 768, 768), cases=2, per_case=1000, seeds=3, minutes=1.0),
    "small": Budget(size=(64, 768, 768), cases=4, per_case=2000, seeds=3, minutes=10.0),
    "paper": Budget(size=(64, 1024, 1024), cases=8, per_case=2000, seeds=1),
}


class Row(BaseModel):
    """One line of a table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Name
    """Short name that ``only`` and the folders use."""
    label: str
    method: str = ""
    preset: dict[Scale, str] = Field(default_factory=dict)
    """Preset at each scale where it is not ``tiny`` at scale tiny and ``paper`` at the others."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """Changes of the configuration by dotted key, at every scale."""
    enhance: dict[Scale, dict[str, Any]] = Field(default_factory=dict)
    """Options of enhancing that this row has beside those of the study, by scale."""
    paper: dict[str, float] = Field(default_factory=dict)
    """Numbers of the paper by the metric's key; they are shown, never computed with, and never mixed with ours."""
    same_as: str | None = None
    """Key of a row with the same configuration, which is not trained twice."""
    note: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Row:
        if bool(self.method) == bool(self.same_as):
            raise ValueError("a row has either a method or same_as")
        return self


class Claim(BaseModel):
    """What a paper says of two rows: that one is ahead of the other."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    """The claim in words."""
    better: Name
    """Key of the row that is said to be ahead."""
    worse: Name
    """Key of the row that it is ahead of."""
    metric: str
    """Key of the metric in which it is."""


class Study(BaseModel):
    """A table of a paper, or one of our own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    reference: str
    extends: str | None = None
    """Name of the study whose rows and conditions it has beside rows of its own."""
    enlargement: Literal[2, 4, 8, 16] = 8
    protocols: tuple[Protocol, ...]
    changes: dict[Scale, dict[str, Any]] = Field(default_factory=dict)
    """Changes of the configuration of every row at a scale, made before those of the row itself."""
    rows: tuple[Row, ...]
    data: dict[str, Any] = Field(default_factory=dict)
    """How its scans are made, prepared and enhanced, by the keys of `Recipe`, at every scale."""
    data_at: dict[Scale, dict[str, Any]] = Field(default_factory=dict)
    """The same at one scale."""
    budget: dict[Scale, dict[str, Any]] = Field(default_factory=dict)
    """What of the budget of a scale is another here, by the keys of `Budget`."""
    synthesiser: str | None = None
    """Key of the row whose network makes the clinical-like inputs of the protocol ``synth`` for all rows."""
    claims: tuple[Claim, ...] = ()
    """What the paper says of its rows, for the summary."""
    note: str = ""
    """What a reader must know to compare with the paper."""

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        keys = [row.key for row in self.rows]
        if len(set(keys)) != len(keys) or "bicubic" in keys:
            raise ValueError("keys of rows must differ, and 'bicubic' is added by the runner")
        trained = [row.key for row in self.rows if row.same_as is None]
        for row in self.rows:
            if row.same_as is not None and row.same_as not in trained:
                raise ValueError(f"row {row.key}: same_as {row.same_as} is no row that has a method")
        if self.synthesiser is not None and self.synthesiser not in keys:
            raise ValueError(f"synthesiser {self.synthesiser} is no row")
        if "synth" in self.protocols and self.synthesiser is None:
            raise ValueError("the protocol synth needs a synthesiser, the row whose network makes all inputs")
        for claim in self.claims:
            for key in (claim.better, claim.worse):
                if key not in (*keys, "bicubic"):
                    raise ValueError(f"claim '{claim.text}': {key} is no row")
        for scale in SCALES:
            self.recipe(scale)
            self.planned(scale)
        return self

    def recipe(self, scale: Scale) -> Recipe:
        """Return how the scans of the study are made, prepared and enhanced at a scale."""
        return Recipe.model_validate(PHANTOM[scale] | self.data | self.data_at.get(scale, {}))

    def planned(self, scale: Scale) -> Budget:
        """Return the budget of a scale, as this study has it."""
        return Budget.model_validate(BUDGETS[scale].model_dump() | self.budget.get(scale, {}))

    def row(self, key: str) -> Row:
        """Return the row called `key`.

        Raises
        ------
        OptionError
            If there is none.
        """
        for row in self.rows:
            if row.key == key:
                return row
        raise OptionError(f"study {self.name} has no row '{key}'; there are: {', '.join(row.key for row in self.rows)}")

    def trained(self, only: tuple[str, ...] = ()) -> list[Row]:
        """Return the rows that are run, those of `only` or all, the synthesiser first.

        A row that others equal stands for them.
        """
        chosen = [self.row(key) for key in only] or list(self.rows)
        first = [self.synthesiser] if self.synthesiser is not None else []
        keys = dict.fromkeys([*first, *(row.same_as or row.key for row in chosen)])
        return [self.row(key) for key in keys]

    def preset(self, row: Row, scale: Scale) -> str:
        """Return the name of the row's preset at a scale."""
        return row.preset.get(scale, "tiny" if scale == "tiny" else "paper")

    def configuration(self, row: Row, scale: Scale) -> dict[str, Any]:
        """Return the changes of the preset's configuration that make the row."""
        return {"scale": self.enlargement, **self.changes.get(scale, {}), **row.changes}


class Extension(BaseModel):
    """What a study that extends another says: rows beside those of the other, and words.

    It has no conditions of its own, so that its rows can be compared with those that it adds to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    extends: str
    """Name of a study that comes with the package, or path of a YAML file, relative to the one that says it."""
    name: str
    title: str | None = None
    reference: str | None = None
    rows: tuple[Row, ...] = Field(min_length=1)
    """Rows below those of the other study."""
    claims: tuple[Claim, ...] = ()
    """What is said of its rows, beside what is said of those of the other study."""
    note: str | None = None
    """What a reader must know, beside the note of the other study."""

    def of(self, base: Study, label: str) -> Study:
        """Return the whole study.

        Parameters
        ----------
        base
            The study that it extends.
        label
            Words that messages begin with.

        Raises
        ------
        FileError
            If a row is in `base` already, or the whole is not valid.
        """
        there = {row.key for row in base.rows}
        for row in self.rows:
            if row.key in there:
                raise FileError(f"{label}: row '{row.key}' is in {base.name} already; give it another key")
        added = ", ".join(row.key for row in self.rows)
        whole = {key: getattr(base, key) for key in Study.model_fields} | {
            "extends": base.name,
            "name": self.name,
            "title": self.title or f"{base.title}, and {added}",
            "reference": self.reference or f"{base.reference}, extended",
            "rows": (*base.rows, *self.rows),
            "claims": (*base.claims, *self.claims),
            "note": " ".join(note for note in (base.note, self.note) if note),
        }
        return validated(Study, whole, label, FileError)


def names() -> list[str]:
    """Return the names of the studies that come with the package."""
    return definition_names(_PACKAGE, _FOLDER)


def load_study(name: str) -> Study:
    """Read a study that comes with the package, or a YAML file of one's own.

    A file that says ``extends`` is completed by the study that it names, which may extend another.

    Parameters
    ----------
    name
        Name of a study, or path of a file.

    Raises
    ------
    OptionError
        If there is none of that name.
    FileError
        If a file is missing or not valid, adds a row that is there, or extends itself.
    """
    return _load(name, ())


_PACKAGE = "ctloupe.studies"
_FOLDER = "definitions"
_CONDITIONS = "a study that extends another has its conditions, so that the rows can be compared"


def _load(name: str, extending: tuple[Path, ...]) -> Study:
    """Read a study that each of the files `extending` leads to."""
    found = read_definition(name, "study", _PACKAGE, _FOLDER)
    if "extends" not in found.values:
        return validated(Study, found.values, found.label, FileError)
    extension = validated(Extension, found.values, found.label, FileError, _CONDITIONS)
    base = extension.extends
    if found.path is not None:
        file = found.path.resolve()
        if file in extending:
            raise FileError(f"{found.label}: key 'extends': {base} leads back to this file; name a study that does not")
        extending = (*extending, file)
        if base not in names() and Path(base).suffix:
            base = str(found.path.parent / base)
    try:
        return extension.of(_load(base, extending), found.label)
    except OptionError as error:
        raise FileError(f"{found.label}: key 'extends': {error}") from error
