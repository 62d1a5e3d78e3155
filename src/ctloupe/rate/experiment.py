"""Rating experiments of papers as data: what raters are asked, on which scale, and what they look at."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from ctloupe.foundation.definitions import definition_names, load_definition
from ctloupe.foundation.names import Name
from ctloupe.rate.design import Enlargement, Side

_PACKAGE: Final = "ctloupe.rate"
_FOLDER: Final = "experiments"


class Experiment(BaseModel):
    """What a paper asked its raters, or would have to ask them; methods and scan come from who repeats it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    reference: str
    """Paper and section that the experiment is from."""
    criteria: dict[str, tuple[int, int]] = Field(min_length=1)
    """Lowest and highest mark of each criterion, in the paper's words."""
    raters: list[Name] = Field(min_length=1)
    """Codes of as many raters as there were."""
    patches: int = Field(ge=1)
    side: Side
    enlargement: Enlargement
    mask: str
    """Kind of mask that the patches are drawn from where no other is asked for."""
    instructions: str
    """What raters read before they begin."""
    note: str = ""
    """What is the paper's, and what is not."""


def names() -> list[str]:
    """Return the names of the experiments that come with the package."""
    return definition_names(_PACKAGE, _FOLDER)


def load_experiment(name: str) -> Experiment:
    """Read an experiment that comes with the package, or a YAML file of one's own; see `load_definition` for errors."""
    return load_definition(name, Experiment, "experiment", _PACKAGE, _FOLDER)
