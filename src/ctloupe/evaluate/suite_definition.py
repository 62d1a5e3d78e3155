"""What a benchmark suite is: phantoms from published seeds, in groups that are averaged."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ctloupe.phantom.phantom import TEMPORAL_BONE, PhantomCase, PhantomConfig, make_lung, make_temporal_bone
from ctloupe.volume.errors import FileError, OptionError


class PhantomSpec(BaseModel):
    """A phantom, all of it: the same specification gives the same voxels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    anatomy: Literal["lung", "temporal-bone"]
    seed: int
    size: tuple[int, int, int]
    kernel: str = "standard"
    noise_hu: float | None = Field(None, ge=0)
    nodule: bool = False

    def make(self, scale: int) -> PhantomCase:
        """Make the phantom, its clinical voxels `scale` times the fine ones on every axis."""
        make, usual = {"lung": (make_lung, PhantomConfig()), "temporal-bone": (make_temporal_bone, TEMPORAL_BONE)}[
            self.anatomy
        ]
        noise = usual.noise_hu if self.noise_hu is None else self.noise_hu
        config = replace(usual, scale=scale, slices=scale, kernel=self.kernel, noise_hu=noise, nodule=self.nodule)
        return make(self.size, self.seed, config)


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


def suite_names() -> list[str]:
    """Names of the suites that come with the package."""
    folder = files("ctloupe.evaluate") / "suites"
    return sorted(one.name.removesuffix(".yaml") for one in folder.iterdir() if one.name.endswith(".yaml"))


def load_suite(name: str) -> Suite:
    """Read a suite that comes with the package, or a YAML file of one's own.

    Raises
    ------
    OptionError
        If there is no suite of that name.
    FileError
        If the file is missing or is not a suite.
    """
    if name in suite_names():
        text, stem = (files("ctloupe.evaluate") / "suites" / f"{name}.yaml").read_text(encoding="utf-8"), name
    elif Path(name).suffix in (".yaml", ".yml"):
        try:
            text, stem = Path(name).read_text(encoding="utf-8"), Path(name).stem
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(f"{name}: cannot be read ({error})") from error
    else:
        raise OptionError(f"no suite is called '{name}'; there are: {', '.join(suite_names())}; or give a YAML file")
    try:
        values: Any = yaml.safe_load(text)
        if not isinstance(values, dict):
            raise FileError(f"suite {name}: expected a mapping of keys to values")
        return Suite.model_validate({"name": stem} | values)
    except yaml.YAMLError as error:
        raise FileError(f"suite {name}: not valid YAML ({str(error).splitlines()[0]})") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "suite"
        raise FileError(f"suite {name}, key '{key}': {first['msg']}") from error
