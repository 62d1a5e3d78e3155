"""Everything that a training is asked for, resolved into the settings of a new run or of one that is continued."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ctloupe import methods
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.train.run_folder import RunFolder
from ctloupe.train.settings import TrainSettings, read_mapping, settings_of
from ctloupe.train.torchrun import devices_asked_for

_OF_EVERY_RUN: Final = (
    "epochs",
    "steps",
    "minutes",
    "seed",
    "accelerator",
    "devices",
    "precision",
    "checkpoint_minutes",
    "checkpoint_steps",
    "preview_steps",
)
"""Options that are settings under the same name; None leaves the default, or what the run was begun with."""


@dataclass(frozen=True)
class TrainRequest:
    """What a training is asked for; `ctloupe.train.loop.train` takes its `settings`.

    Attributes
    ----------
    bank, out
        Folder of the patch banks, and run folder to make; both are needed for a new run.
    method, preset
        Name of the method, and of one of its presets; None: its first.
    changes, config
        Values by dotted key of the method's configuration, and a YAML file of such; `changes` go before the file.
    resume
        Run folder to continue, instead of a new run.
    stage, start_from
        The only stage to train, and the run folder whose networks the training starts with.
    deterministic
        Whether only algorithms that repeat exactly are used.
    epochs, steps, minutes, seed, accelerator, devices, precision, checkpoint_minutes, checkpoint_steps, preview_steps
        Settings of `TrainSettings`; None: its default, or what the run that is continued was begun with.
    """

    bank: Path | None = None
    out: Path | None = None
    method: str = "sr-cyclegan"
    preset: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    config: Path | None = None
    epochs: int | None = None
    steps: int | None = None
    minutes: float | None = None
    resume: Path | None = None
    stage: str | None = None
    start_from: Path | None = None
    seed: int | None = None
    accelerator: str | None = None
    devices: int | None = None
    precision: str | None = None
    deterministic: bool = False
    checkpoint_minutes: float | None = None
    checkpoint_steps: int | None = None
    preview_steps: int | None = None

    def settings(self) -> TrainSettings:
        """Resolve preset, configuration file and changes, or read the run that is continued.

        Raises
        ------
        OptionError
            If the method cannot be trained, an option is missing, unknown or out of range, or a run that is continued
            is asked for with what it was set up with.
        FileError
            If the configuration file or the run folder cannot be read.
        """
        return self._fresh() if self.resume is None else self._continued(RunFolder(self.resume))

    def _given(self) -> dict[str, Any]:
        asked = {name: getattr(self, name) for name in _OF_EVERY_RUN} | {"devices": devices_asked_for(self.devices)}
        return {name: value for name, value in asked.items() if value is not None}

    def _fresh(self) -> TrainSettings:
        if self.bank is None or self.out is None:
            raise OptionError("`bank` and `out` are needed (or `resume` RUN to continue a run)")
        require_apart([self.bank, self.config, self.start_from], RunFolder(self.out).outputs())
        kind = methods.get(self.method)
        if not kind.trainable:
            raise OptionError(
                f"`method` {self.method}: there is nothing to train; 'ctloupe enhance `model` {self.method}' uses it"
            )
        preset = self.preset or next(iter(kind.presets))
        config = kind.configure(
            preset, (read_mapping(self.config) if self.config else {}) | dict(self.changes), self.config
        )
        resolved = {
            "method": self.method,
            "preset": preset,
            "config": config.model_dump(mode="json"),
            "bank": self.bank.resolve(),
            "out": self.out,
            "deterministic": self.deterministic,
            "stage": self.stage,
            "start_from": self.start_from.resolve() if self.start_from else None,
        }
        return settings_of(resolved | self._given())

    def _continued(self, run: RunFolder) -> TrainSettings:
        begun = run.settings()
        fixed = (self.out, self.bank, self.changes or None, self.config, self.preset, self.stage, self.start_from)
        if any(value is not None for value in fixed):
            raise OptionError(
                "`resume` continues a run as it was set up; leave `bank`, `out`, `changes`, `config`, `preset`, "
                "`stage` and `start_from` out"
            )
        if self.seed is not None:
            raise OptionError("`resume` continues with the seed of the run; leave `seed` out")
        return settings_of(begun.model_dump() | self._given())
