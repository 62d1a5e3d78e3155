"""The run folder: configuration, manifest, metrics and where everything of a run lies."""

from __future__ import annotations

import csv
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from ctloupe import methods
from ctloupe.foundation.atomic import explained, replacing
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.leftovers import sweep
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.foundation.records import load_record, save_record
from ctloupe.methods.package import software_versions
from ctloupe.train.settings import TrainSettings, read_mapping, settings_of


class Manifest(BaseModel):
    """Content of ``manifest.json``: what is read back of it has a type, whatever else was noted is kept."""

    model_config = ConfigDict(extra="allow", frozen=True)

    steps: int = Field(0, ge=0)
    training_seconds: FiniteFloat = Field(0.0, ge=0)
    finished: bool = False
    started_from: dict[str, Any] | None = None
    started: str = ""
    command: list[str] = Field(default_factory=list)
    device: str = ""
    precision: str = ""
    machine: dict[str, Any] = Field(default_factory=dict)


class RunFolder:
    """Paths and records of one training run.

    Parameters
    ----------
    path
        The folder; `create` makes it, `settings` reads it.
    model
        Folder that the model package goes to; ``model`` in the run folder when it is not given.
    """

    def __init__(self, path: Path, model: Path | None = None) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.checkpoints = path / "checkpoints"
        self.metrics = path / "metrics.csv"
        self.previews = path / "previews"
        self.events = path / "events"
        self.manifest = path / "manifest.json"
        self.model = model or path / "model"

    def create(self, settings: TrainSettings) -> None:
        """Make the folder and write the resolved configuration.

        Raises
        ------
        FileError
            If there is a run in it already.
        """
        if self.config.exists():
            raise FileError(
                f"{self.path}: holds a training run already; continue it with `resume`, or give another `out`"
            )
        self.make()
        save_record(self.config, settings)

    def outputs(self) -> list[Path]:
        """Files and folders that a run writes."""
        folders = [self.checkpoints, self.previews, self.events, self.model]
        return [self.config, self.metrics, self.manifest, *folders]

    def make(self) -> None:
        """Make the folder and those inside it, where they are not there yet; what a killed run left goes."""
        try:
            for folder in (self.checkpoints, self.previews):
                folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.path, self.model.parent, self.checkpoints, self.previews):
                sweep(folder)
        except OSError as error:
            raise FileError(f"{self.path}: cannot make the run folder ({error.strerror})") from error

    @property
    def finished(self) -> bool:
        """Whether the training in this folder has reached its end."""
        return bool(self.facts().get("finished"))

    def facts(self) -> dict[str, Any]:
        """What the manifest says of the run so far; nothing before its first step.

        Raises
        ------
        FileError
            If the manifest is damaged.
        """
        if not self.manifest.is_file():
            return {}
        advice = "delete it; the training goes on from its checkpoints without it"
        return load_record(self.manifest, Manifest, "manifest", advice).model_dump(mode="json", exclude_unset=True)

    def effort(self) -> dict[str, Any]:
        """Steps and seconds of the run, and, as ``started_from``, those of the run whose networks it began with."""
        facts = self.facts()
        found = {"steps": facts.get("steps", 0), "seconds": facts.get("training_seconds", 0.0)}
        return found | ({"started_from": facts["started_from"]} if "started_from" in facts else {})

    def settings(self) -> TrainSettings:
        """Read the configuration back.

        Raises
        ------
        FileError, OptionError
            If there is no run here, or its configuration is damaged.
        """
        if not self.config.is_file():
            raise FileError(f"{self.path}: no training run here (config.yaml is missing)")
        found = settings_of(read_mapping(self.config) | {"out": self.path}, str(self.config))
        try:
            methods.get(found.method)
        except OptionError as error:
            raise FileError(f"{self.config}: key 'method': {error}") from error
        return found

    def write_manifest(self, **facts: Any) -> None:
        """Add `facts` to the manifest: who ran what, where and when."""
        old = self.facts()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        new = {
            "notice": RESEARCH_NOTICE,
            "started": old.get("started", now),
            "updated": now,
            "command": old.get("command", [Path(sys.argv[0]).name, *sys.argv[1:]]),
            "software": software_versions() | {"python": platform.python_version()},
            "machine": {
                "system": platform.platform(),
                "cores": os.cpu_count(),
                "threads": torch.get_num_threads(),
            },
        }
        save_record(self.manifest, old | new | facts)


class MetricsLog:
    """Appends one row a step to ``metrics.csv``.

    Parameters
    ----------
    path
        The file.
    first_step
        Rows of this step and later are dropped: they come from a run that was cut off after its last checkpoint.

    Raises
    ------
    FileError
        If the file is there and is no such table.
    """

    def __init__(self, path: Path, first_step: int) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self._writer: csv.DictWriter[str] | None = None
        self._kept: list[dict[str, str]] = []
        if path.is_file():
            try:
                with path.open(newline="", encoding="utf-8") as file:
                    rows = csv.DictReader(file)
                    self._kept = [row for row in rows if _whole(row) and int(row["step"]) < first_step]
            except (KeyError, ValueError, csv.Error) as error:
                raise FileError(
                    f"{path}: not a table with a whole number in column 'step' ({error}); delete it, the training goes "
                    "on from its checkpoints without it"
                ) from error

    def write(self, row: dict[str, float | int]) -> None:
        """Append `row`; its keys are the columns, the same every time."""
        if self._writer is None or self._file is None:
            self._writer, self._file = self._open(list(row))
        with explained(self._path):
            self._writer.writerow(
                {key: f"{value:.8g}" if isinstance(value, float) else value for key, value in row.items()}
            )
            self._file.flush()

    def _open(self, columns: list[str]) -> tuple[csv.DictWriter[str], IO[str]]:
        if self._kept and list(self._kept[0]) != columns:
            raise OptionError(f"{self._path}: its columns are not those of this run; resume with the same settings")
        with replacing(self._path, overwrite=True) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self._kept)
        self._kept = []
        file = self._path.open("a", newline="", encoding="utf-8")
        return csv.DictWriter(file, columns), file

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _whole(row: dict[str, str]) -> bool:
    """Whether a row was written to its end before the process died."""
    return None not in row and all(value not in (None, "") for value in row.values())
