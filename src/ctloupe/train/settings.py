"""What a training run is asked to do, resolved into one record that the run folder keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ctloupe.foundation.errors import FileError, OptionError

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
    preset: str = ""
    config: dict[str, Any] = Field(default_factory=dict)
    """Resolved configuration of the method."""
    bank: Path
    """Folder written by ``ctloupe prepare``."""
    out: Path
    """Run folder."""
    stage: str | None = None
    """Train only this stage of a method that has several."""
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


def validated(values: dict[str, Any]) -> TrainSettings:
    """Return `values` as settings, or raise `OptionError` naming the key."""
    try:
        return TrainSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "settings"
        raise OptionError(f"training option '{key}': {first['msg']} (found {first['input']!r})") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping from a YAML file.

    Raises
    ------
    FileError
        If the file is missing or is not a YAML mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise FileError(f"{path}: expected a mapping of keys to values")
    return values
