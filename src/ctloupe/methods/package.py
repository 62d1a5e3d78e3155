"""The model package: a folder with a description and the enhancer's weights, and nothing that can run."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import FileError, ModelError, OptionError
from ctloupe.foundation.inputs import require_plain_file
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.foundation.records import load_record
from ctloupe.images.likeness import ImageStatistics
from ctloupe.images.windows import IntensityWindow, Scaling
from ctloupe.methods.base import Method, MethodConfig
from ctloupe.methods.package_files import DESCRIPTION, WEIGHTS
from ctloupe.methods.registry import get
from ctloupe.methods.room import lack_of_room
from ctloupe.prepare.masks import MaskKind


def _ordered(window: tuple[float, float]) -> tuple[float, float]:
    if not window[0] < window[1]:
        raise ValueError("expected a low end below the high one")
    return window


Window = Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_ordered)]
"""Low and high end of an intensity window."""


class Fingerprint(BaseModel):
    """What the training data looked like, so that an unlike scan can be recognised."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clinical_spacing: tuple[float, float]
    """Voxel size (y, x) of the clinical scans in mm."""
    micro_spacing: tuple[float, float]
    """Voxel size (y, x) of the µCT scans in mm."""
    clinical_percentiles: dict[str, float]
    """Percentiles of the clinical patches in HU."""
    micro_percentiles: dict[str, float]
    """Percentiles of the µCT patches in their own units."""
    patches: dict[str, int]
    """Number of patches by modality."""
    clinical_power: tuple[float, ...] = ()
    """Power of the clinical patches in dB by frequency, see `ctloupe.images.likeness`; empty in older packages."""
    clinical_spread: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Largest difference among the clinical volumes: HU, dB of noise, dB of fineness."""

    def clinical_statistics(self) -> ImageStatistics:
        """What the clinical patches looked like."""
        return ImageStatistics(self.clinical_spacing, self.clinical_percentiles, self.clinical_power)


class ModelCard(BaseModel):
    """Everything but the weights that enhancing needs, and what a reader wants to know of a model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    method: str
    preset: str = ""
    config: dict[str, Any]
    scale: int
    clinical_window: Window
    micro_window: Window
    clinical_scaling: Scaling = "fixed"
    """``min-max``: each scan is scaled by its own range, of which the training volumes' mean is the window; older
    packages, which do not say, have one window for all."""
    micro_scaling: Scaling = "fixed"
    """The same of the µCT."""
    fingerprint: Fingerprint
    mask: MaskKind = "lungs"
    """Kind of the mask that the clinical patches were drawn in; older packages, which do not say, are of lungs."""
    training: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    software: dict[str, str] = Field(default_factory=dict)
    notice: str = RESEARCH_NOTICE


@dataclass(frozen=True)
class ModelPackage:
    """A loaded package: description, configuration and enhancer in evaluation mode, on the CPU."""

    card: ModelCard
    config: MethodConfig
    enhancer: nn.Module
    notes: tuple[str, ...] = ()
    """Words on what would be otherwise if it were trained today."""

    @property
    def clinical_window(self) -> IntensityWindow:
        """Window that takes HU to the network's [−1, 1] and back, unless each scan has its own."""
        return IntensityWindow(*self.card.clinical_window)


def software_versions() -> dict[str, str]:
    """Return the versions of the packages that a result depends on."""
    return {name: version(name) for name in ("ctloupe", "torch", "numpy", "lightning-fabric")}


def save_package(path: Path, enhancer: nn.Module, card: ModelCard) -> None:
    """Write a model package to the folder `path`, replacing an older one whole.

    Raises
    ------
    FileError
        If the folder cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in enhancer.state_dict().items()}
    with replacing(path, overwrite=True) as temporary:
        temporary.mkdir()
        # The library's own writing to a file leaves it to its owner alone, whatever the umask.
        (temporary / WEIGHTS).write_bytes(save(tensors, metadata={"notice": RESEARCH_NOTICE}))
        (temporary / DESCRIPTION).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_package(path: Path) -> ModelPackage:
    """Read a model package. Nothing in it is executed or unpickled.

    Raises
    ------
    FileError
        If a part is missing or damaged.
    ModelError
        If the method is unknown here, or the weights do not fit the configuration.
    """
    card = load_record(
        path / DESCRIPTION,
        ModelCard,
        "model description",
        "give the folder 'model' of a training run as it was written",
    )
    try:
        kind = get(card.method)
    except OptionError as error:
        raise ModelError(f"{path / DESCRIPTION}: key 'method': {error}") from error
    writer = f"it was written by ctloupe {card.software.get('ctloupe', 'of an unknown version')}"
    config = kind.recorded(card.config, f"{path / DESCRIPTION}: configuration", ModelError, writer)
    lacking = lack_of_room(lambda: kind.make_enhancer(config))
    if lacking is not None:
        raise ModelError(f"{path / DESCRIPTION}: {lacking}; use the package as it was written, or a larger machine")
    enhancer = kind.make_enhancer(config)
    require_plain_file(path / WEIGHTS)
    try:
        tensors = load_file(path / WEIGHTS)
    except (FileNotFoundError, SafetensorError, OSError) as error:
        raise FileError(f"{path / WEIGHTS}: missing or damaged ({error}); copy the model package again") from error
    try:
        enhancer.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(f"{path}: the weights do not fit the configuration in {DESCRIPTION}") from error
    bad = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise ModelError(f"{path / WEIGHTS}: tensor '{bad[0]}' holds NaN or infinity; train the model again")
    return ModelPackage(card, config, enhancer.eval(), _notes(kind, card))


def _notes(kind: type[Method], card: ModelCard) -> tuple[str, ...]:
    return tuple(
        f"the model was trained before there was {key}; it goes on with {value}, which today is another"
        for key, value in kind.unsaid.items()
        if key not in card.config
    )
