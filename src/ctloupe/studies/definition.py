"""What a study is: rows of method configurations, protocols, and the paper's numbers."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ctloupe.foundation.definitions import definition_names, load_definition
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.names import Name
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
        for row in self.rows:
            if row.same_as is not None and row.same_as not in keys:
                raise ValueError(f"row {row.key}: same_as {row.same_as} is no row")
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


def names() -> list[str]:
    """Return the names of the studies that come with the package."""
    return definition_names("ctloupe.studies", "definitions")


def load_study(name: str) -> Study:
    """Read a study that comes with the package, or a YAML file of one's own; see `load_definition` for errors."""
    return load_definition(name, Study, "study", "ctloupe.studies", "definitions")
