"""What every method is: a configuration with presets, networks, a training step and an enhancer."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Protocol, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from ctloupe.foundation.errors import CtLoupeError, OptionError
from ctloupe.foundation.records import validated


@dataclass(frozen=True)
class Batch:
    """Unpaired patches of one step, in [−1, 1].

    Attributes
    ----------
    clinical : (n, 1, p, p)
        Clinical patches.
    micro : (n, 1, s·p, s·p)
        µCT patches.
    position
        Number of patches of each modality shown before this batch's first, over all steps and ranks.
    micro_slice_average : (n, 1, s·p, s·p), optional
        The same places as `micro`, averaged over the thickness of a clinical slice; absent where the bank
        has none, and for methods that do not ask for it by `Method.reads_slice_average`.
    clinical_neighbours : (n, 2, p, p), optional
        The slices below and above the clinical patches; absent for methods that do not ask for them by
        `Method.reads_neighbours`.
    micro_neighbours : (n, 2, s·p, s·p), optional
        Averages over the clinical slices below and above the one of `micro_slice_average`.
    micro_slice_spacing : (n,), optional
        Distance of those slices in mm.
    """

    clinical: Tensor
    micro: Tensor
    position: int = 0
    micro_slice_average: Tensor | None = None
    clinical_neighbours: Tensor | None = None
    micro_neighbours: Tensor | None = None
    micro_slice_spacing: Tensor | None = None

    def first(self, count: int) -> Batch:
        """Return the first `count` patches of each modality."""
        cut: dict[str, Any] = {name: one[:count] for name, one in vars(self).items() if isinstance(one, Tensor)}
        return replace(self, **cut)


class TrainingBackend(Protocol):
    """What a training step may ask of whoever runs it (device, precision and ranks are the backend's concern)."""

    def forward(self, trainable: str, *inputs: Tensor | None) -> Any:
        """Run `trainable` so that its gradients will be averaged over ranks; outputs are float32."""

    def autocast(self) -> AbstractContextManager[Any]:
        """Precision context for running a network that is not being updated."""

    def update(self, trainable: str, loss: Tensor) -> None:
        """Set the gradients of `trainable` to those of `loss` and take one optimiser step."""


_COUNTS_LAYERS: Final = ("blocks", "groups", "levels", "strides")
"""Ends of the names of settings that say how many layers there are."""

_MOST_LAYERS: Final = 1000


class MethodConfig(BaseModel):
    """Settings that every trainable method has; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: Literal[2, 4, 8, 16] = 8
    """In-plane enlargement."""
    patch_size: int = Field(32, ge=4)
    """Side of a clinical training patch in pixels; µCT patches are `scale` times larger."""
    batch_size: int = Field(4, ge=1)
    """Patches of each modality a step, over all devices."""
    epochs: int = Field(200, ge=1)
    """Passes over the larger patch bank."""
    constant_fraction: float = Field(0.5, ge=0, le=1)
    """Share of the training at the full learning rate, which then falls linearly to zero."""
    learning_rate: float = Field(1e-5, gt=0)
    """Learning rate of every optimiser."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Decay rates of Adam's two averages; a first one of 0.5 is CycleGAN's."""
    flips: bool = False
    """Flip and transpose training patches at random."""

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        """Refuse numbers of layers that would take for ever to build, as those of a damaged model card."""
        for name, value in self:
            if name.endswith(_COUNTS_LAYERS) and isinstance(value, int) and value > _MOST_LAYERS:
                raise ValueError(f"{name}: expected at most {_MOST_LAYERS}")
        return self


class Method(nn.Module):
    """Base of all methods. A subclass is one file in this folder, or lives in another package.

    Parameters
    ----------
    config
        An instance of the subclass's ``Config``.

    Notes
    -----
    A method that is trained in several steps names them in `stages`; the trainer runs one after the other and calls
    `enter` at the start of each, after which `trainables`, `optimisers`, `loss_weights` and `step` are those of that
    stage.
    """

    name: ClassVar[str]
    """Name on the command line and in records."""
    summary: ClassVar[str]
    """What the method does, in one line."""
    reference: ClassVar[str] = ""
    """Publication that it comes from."""
    trainable: ClassVar[bool] = True
    """Whether there is anything to train."""
    stages: ClassVar[tuple[str, ...]] = ("whole",)
    """Names of its trainings, in their order."""
    reads_slice_average: ClassVar[bool] = False
    """Whether `step` or `examine` looks at ``Batch.micro_slice_average``; it is not loaded otherwise."""
    needs_hu: ClassVar[bool] = False
    """Whether the clinical patches of all volumes must be on one scale, as where one scanner is to have made them."""
    Config: ClassVar[type[MethodConfig]] = MethodConfig
    """Class of its configuration."""
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    """Values that differ from the defaults of `Config`, by name of the preset; the first is the default."""
    unsaid: ClassVar[dict[str, Any]] = {}
    """Values of keys that were added later and changed their default: what is recorded without them was made so."""

    def __init__(self, config: MethodConfig) -> None:
        super().__init__()
        self.config = config
        self.stage = self.stages[0]

    @property
    def reads_neighbours(self) -> bool:
        """Whether `step` or `examine` looks at the neighbours of a batch; a bank without them is refused then."""
        return False

    def enter(self, stage: str) -> None:
        """Make `stage`, one of `stages`, the one that is trained."""
        self.stage = stage

    def examine(self, sample: Batch) -> None:
        """Look at a sample of the training patches once, before the first step.

        What is found belongs into buffers, so that checkpoints keep it.
        """

    def findings(self) -> dict[str, float]:
        """Return what `examine` has found, by name, for the records of the run and of the model."""
        return {}

    @classmethod
    def configure(
        cls, preset: str | None = None, changes: dict[str, Any] | None = None, source: Path | None = None
    ) -> MethodConfig:
        """Build the configuration from a preset (default: the first) and changes by dotted key.

        Parameters
        ----------
        preset, changes
            Name of the preset, and values by key.
        source
            File that messages name as where changes come from.

        Raises
        ------
        OptionError
            If the preset or a key is unknown or a value is out of range.
        """
        preset = preset or next(iter(cls.presets))
        if preset not in cls.presets:
            known = ", ".join(cls.presets)
            raise OptionError(f"method {cls.name} has no preset '{preset}'; there are: {known}")
        values = _merged(cls.presets[preset], changes or {})
        label = f"configuration of {cls.name}"
        return validated(cls.Config, values, label if source is None else f"{source}: {label}")

    @classmethod
    def recorded(
        cls, values: dict[str, Any], where: str, kind: type[CtLoupeError] = OptionError, advice: str = ""
    ) -> MethodConfig:
        """Return the configuration that a run or a model package was made with, also by an earlier version.

        Parameters
        ----------
        values
            Values by key, as they were recorded.
        where, kind, advice
            Beginning, kind and end of the message about a value that cannot be; see `validated`.
        """
        return validated(cls.Config, cls.unsaid | values, where, kind, advice)

    @classmethod
    @abstractmethod
    def make_enhancer(cls, config: Any) -> nn.Module:
        """Build the untrained network that maps ``(n, 1, h, w)`` to ``(n, 1, s·h, s·w)`` in [−1, 1]."""

    @abstractmethod
    def enhancer(self) -> nn.Module:
        """Return the network that a model package holds, as trained so far."""

    def networks(self) -> dict[str, nn.Module]:
        """Return every network by its name in the paper."""
        return {}

    def trainables(self) -> dict[str, nn.Module]:
        """Return what the optimisers own: one module, with one ``forward``, for each optimiser."""
        return {}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Return a fresh optimiser for each trainable."""
        return {
            trainable: torch.optim.Adam(module.parameters(), lr=self.config.learning_rate, betas=self.config.betas)
            for trainable, module in self.trainables().items()
        }

    def loss_weights(self) -> dict[str, float]:
        """Return the weight of each generator loss term by name."""
        return {}

    def step(self, batch: Batch, backend: TrainingBackend) -> dict[str, Tensor]:
        """Take one training step.

        Returns
        -------
        dict
            Each unweighted loss term by name, detached, and ``total``, the weighted sum the generators minimise.
        """
        raise OptionError(f"method {self.name} has nothing to train")

    def clinical_like(self, micro: Tensor) -> Tensor:
        """Return what µCT patches ``(n, 1, s·h, s·w)`` would look like on a clinical scanner, ``(n, 1, h, w)``.

        Raises
        ------
        OptionError
            If the method has no such network.
        """
        raise OptionError(f"method {self.name} does not turn µCT into clinical-like images")

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Return images ``(n, 1, h, w)`` in [−1, 1] that show the state of the training, by caption."""
        return {"SR": self.enhancer()(batch.clinical)}


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        head, _, rest = key.partition(".")
        if rest or isinstance(value, dict):
            inner = result.get(head, {})
            result[head] = _merged(inner if isinstance(inner, dict) else {}, {rest: value} if rest else value)
        else:
            result[head] = value
    return result
