"""What a training run is asked to do, resolved into one record that the run folder keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ctloupe import methods
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.records import read_plain, validated

if TYPE_CHECKING:
    from ctloupe.methods.base import MethodConfig

Accelerator = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "bf16-mixed", "32-true"]


class TrainSettings(BaseModel):
    """A training run; unknown keys are errors.

    The run ends when the first of `epochs` (or the method's own number), `steps` and `minutes` is reached, and
    the learning rate falls to zero towards that end. Of a method with several stages, `epochs` and `steps` are those
    of each stage, and the stages share `minutes` equally.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    """Name of the method."""
    preset: str = ""
    """Name of the preset that the configuration started from."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Configuration of the method with every key resolved."""
    bank: Path
    """Folder that ``ctloupe prepare`` wrote."""
    out: Path
    """Folder of the run."""
    stage: str | None = None
    """The only stage to train, of a method that has several."""
    start_from: Path | None = None
    """Run folder whose networks the training starts with."""
    seed: int = Field(0, ge=0)
    epochs: int | None = Field(None, ge=1)
    steps: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0)
    accelerator: Accelerator = "auto"
    devices: int = Field(1, ge=1)
    precision: Precision = "auto"
    deterministic: bool = False
    channels_last: bool = True
    checkpoint_minutes: float = Field(10.0, gt=0)
    checkpoint_steps: int | None = Field(None, ge=1)
    """Also write a checkpoint every so many steps."""
    keep_checkpoints: int = Field(2, ge=1)
    preview_steps: int = Field(200, ge=1)

    @model_validator(mode="after")
    def _divisible(self) -> TrainSettings:
        batch = self.config.get("batch_size")
        if isinstance(batch, int) and batch % self.devices:
            raise ValueError(f"batch_size {batch} cannot be split over {self.devices} devices")
        return self


def settings_of(values: dict[str, Any], where: str = "training options") -> TrainSettings:
    """Return `values` as settings.

    Parameters
    ----------
    values
        Plain data, with the names of the options as keys.
    where
        File or record that they are from, for the message.

    Raises
    ------
    OptionError
        If a key is unknown or its value cannot be, which the message names.
    """
    return validated(TrainSettings, values, where)


def method_config_of(settings: TrainSettings) -> MethodConfig:
    """Return the configuration of the method, as it stands in the run's ``config.yaml``.

    Raises
    ------
    OptionError
        If a key is unknown or its value cannot be, which the message names.
    """
    where = f"{settings.out / 'config.yaml'}: config"
    return methods.get(settings.method).recorded(settings.config, where)


def read_mapping(path: Path) -> dict[str, Any]:
    """Read the keys and values of a YAML file; an empty file has none.

    Raises
    ------
    FileError
        If the file is missing or is not a YAML mapping.
    """
    advice = "give a YAML file of configuration keys and values"
    values = read_plain(path, "configuration", advice)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise FileError(f"{path}: not a valid configuration: expected a mapping of keys to values; {advice}")
    unnamed = [key for key in values if not isinstance(key, str)]
    if unnamed:
        raise FileError(f"{path}: not a valid configuration: {unnamed[0]!r} is no name of a key; {advice}")
    return values
