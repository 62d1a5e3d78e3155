"""What a benchmark suite is: phantoms from published seeds, in groups that are averaged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from ctloupe.foundation.definitions import load_definition
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.names import Name
from ctloupe.phantom.anatomies.registry import get
from ctloupe.phantom.config import require_possible
from ctloupe.phantom.phantom import PhantomCase, make_phantom


class PhantomSpec(BaseModel):
    """A phantom, all of it: the same specification gives the same voxels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    anatomy: str
    seed: int
    size: tuple[int, int, int]
    kernel: str = "standard"
    noise_hu: float | None = Field(None, ge=0)
    scanner: tuple[str, ...] = ()
    """What the scanner differs by from the usual ones: names of `ctloupe.scanner.other_scanner.PARTS`."""

    slices: int | None = Field(None, ge=1)
    """Fine slices in a slice of the scan, where they are not as many as the fine voxels across it."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options that only the anatomy has, where they are not its defaults."""

    @model_validator(mode="before")
    @classmethod
    def _with_own_options(cls, values: Any) -> Any:
        """Read ``nodule``, which stood beside the other keys in definitions and records, as the option of that name."""
        if not isinstance(values, dict) or "nodule" not in values:
            return values
        others = {key: value for key, value in values.items() if key != "nodule"}
        own = {"nodule": True} if values["nodule"] else {}
        return others | {"options": own | others.get("options", {})}

    @field_validator("anatomy")
    @classmethod
    def _known(cls, anatomy: str) -> str:
        try:
            return get(anatomy).name
        except OptionError as error:
            raise ValueError(str(error)) from error

    @field_validator("options")
    @classmethod
    def _possible(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """Refuse options that the anatomy has not, and leave its defaults out: equal phantoms have equal records."""
        if "anatomy" not in info.data:
            return options
        try:
            own = get(info.data["anatomy"]).checked(options)
        except OptionError as error:
            raise ValueError(str(error)) from error
        return own.model_dump(mode="json", exclude_defaults=True)

    @model_validator(mode="after")
    def _can_be_scanned(self) -> Self:
        try:
            require_possible(self.scanner, self.kernel, None)
        except OptionError as error:
            raise ValueError(str(error)) from error
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what says nothing, so that records of earlier phantoms stay as they were."""
        found: dict[str, Any] = plain(self)
        usual = {"scanner": (), "slices": None}
        return {key: value for key, value in found.items() if key not in usual or getattr(self, key) != usual[key]}

    def make(self, scale: int) -> PhantomCase:
        """Make the phantom, its clinical voxels `scale` times the fine ones in y and x, and in z without `slices`."""
        usual = get(self.anatomy).usual
        noise = usual.noise_hu if self.noise_hu is None else self.noise_hu
        config = replace(
            usual,
            scale=scale,
            slices=self.slices or scale,
            kernel=self.kernel,
            noise_hu=noise,
            scanner=self.scanner,
            options=self.options,
        )
        return make_phantom(self.anatomy, self.size, self.seed, config)

    def in_words(self) -> str:
        """Return what the phantom is of, as part of a sentence."""
        noise = "usual" if self.noise_hu is None else f"{self.noise_hu:g} HU"
        own = [name if value is True else f"{name} {value}" for name, value in self.options.items()]
        ending = f", with {' and '.join(own)}" if own else ""
        kernel = "" if "ringing" in self.scanner else f", {self.kernel} kernel"
        scanner = f", scanner with {' and '.join(self.scanner)}" if self.scanner else ""
        thin = "" if self.slices is None else f", slices of {self.slices} fine ones"
        return f"{self.anatomy}, seed {self.seed}{kernel}, noise {noise}{scanner}{thin}{ending}"


class KeptPhantom(PhantomSpec):
    """A phantom on disk."""

    scale: int
    """Fine voxels a clinical voxel."""


class OtherReconstruction(BaseModel):
    """Another reconstruction of the acquisition of a case: the same body, and the same noise through another kernel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kernel: str
    noise_hu: float = Field(ge=0)


class CaseSpec(PhantomSpec):
    """One case of a suite."""

    key: Name
    group: Name
    other: OtherReconstruction | None = None
    """The other reconstruction of a kernel pair; a case that has one is measured by the protocol of that name."""

    @property
    def other_folder(self) -> str:
        """Name of the folder of the other reconstruction."""
        return f"{self.key}-other"


class Windows(BaseModel):
    """Values that −1 and 1 stand for, when textures of both modalities are compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clinical: tuple[float, float]
    micro: tuple[float, float]


class Suite(BaseModel):
    """A fixed set of paired phantoms. A change of any of them asks for a new name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    title: str
    scale: Literal[2, 4, 8, 16] = 8
    windows: dict[Name, Windows]
    specimens: dict[Name, PhantomSpec]
    """Unpaired µCT by group."""
    cases: tuple[CaseSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Suite:
        keys = [case.key for case in self.cases]
        if len(set(keys)) != len(keys):
            raise ValueError("keys of cases must differ")
        folders = [folder.casefold() for folder in self.folders()]
        if len(set(folders)) != len(folders):
            twice = next(folder for folder in folders if folders.count(folder) > 1)
            raise ValueError(f"two phantoms would share the folder '{twice}'; give a case or group another name")
        pairs = {case.group for case in self.cases if case.other is not None}
        if pairs & {case.group for case in self.cases if case.other is None}:
            raise ValueError("kernel pairs need a group of their own: their numbers are those of another protocol")
        for case in self.cases:
            without = case.group not in self.windows or case.group not in self.specimens
            if case.other is None and without:
                raise ValueError(f"group '{case.group}' of case '{case.key}' has no windows or no specimen")
        return self

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups in the order of the cases."""
        return tuple(dict.fromkeys(case.group for case in self.cases))

    def folders(self) -> list[str]:
        """Return the names of the folders of all phantoms."""
        others = [case.other_folder for case in self.cases if case.other is not None]
        groups = dict.fromkeys(self._first_alike(group) for group in self.groups if group in self.specimens)
        return [*(case.key for case in self.cases), *others, *map(self.specimen_folder, groups)]

    def specimen_folder(self, group: str) -> str:
        """Return the name of the folder of a group's specimen; groups with the same specimen share the first's."""
        return f"specimen-{self._first_alike(group).replace(' ', '-')}"

    def _first_alike(self, group: str) -> str:
        """The first group that has the specimen of `group`."""
        return next(name for name, spec in self.specimens.items() if spec == self.specimens[group])


def load_suite(name: str) -> Suite:
    """Read a suite that comes with the package, or a YAML file of one's own; see `load_definition` for errors."""
    return load_definition(name, Suite, "suite", "ctloupe.evaluate.suite", "definitions")
