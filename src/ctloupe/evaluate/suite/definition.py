"""What a benchmark suite is: phantoms from published seeds, in groups that are averaged."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ctloupe.foundation.definitions import load_definition
from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomies.registry import get
from ctloupe.phantom.phantom import PhantomCase, make_phantom


class PhantomSpec(BaseModel):
    """A phantom, all of it: the same specification gives the same voxels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    anatomy: str
    seed: int
    size: tuple[int, int, int]
    kernel: str = "standard"
    noise_hu: float | None = Field(None, ge=0)
    nodule: bool = False

    @field_validator("anatomy")
    @classmethod
    def _known(cls, anatomy: str) -> str:
        try:
            return get(anatomy).name
        except OptionError as error:
            raise ValueError(str(error)) from error

    def make(self, scale: int) -> PhantomCase:
        """Make the phantom, its clinical voxels `scale` times the fine ones on every axis."""
        usual = get(self.anatomy).usual
        noise = usual.noise_hu if self.noise_hu is None else self.noise_hu
        own = {"nodule": True} if self.nodule else {}
        config = replace(usual, scale=scale, slices=scale, kernel=self.kernel, noise_hu=noise, options=own)
        return make_phantom(self.anatomy, self.size, self.seed, config)


class CaseSpec(PhantomSpec):
    """One case of a suite."""

    key: str
    group: str


class Windows(BaseModel):
    """Values that −1 and 1 stand for, when textures of both modalities are compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clinical: tuple[float, float]
    micro: tuple[float, float]


class Suite(BaseModel):
    """A fixed set of paired phantoms. A change of any of them asks for a new name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    scale: Literal[2, 4, 8, 16] = 8
    windows: dict[str, Windows]
    specimens: dict[str, PhantomSpec]
    """Unpaired µCT by group."""
    cases: tuple[CaseSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Suite:
        keys = [case.key for case in self.cases]
        if len(set(keys)) != len(keys):
            raise ValueError("keys of cases must differ")
        for case in self.cases:
            if case.group not in self.windows or case.group not in self.specimens:
                raise ValueError(f"group '{case.group}' of case '{case.key}' has no windows or no specimen")
        return self

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups in the order of the cases."""
        return tuple(dict.fromkeys(case.group for case in self.cases))


def load_suite(name: str) -> Suite:
    """Read a suite that comes with the package, or a YAML file of one's own; see `load_definition` for errors."""
    return load_definition(name, Suite, "suite", "ctloupe.evaluate.suite", "definitions")
