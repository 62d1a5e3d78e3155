"""What a comparison found, and by which protocol: a record that can be saved, read and checked before it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pydantic import RootModel, model_validator

from ctloupe.evaluate.metrics.base import Better
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.foundation.records import load_record, save_record

BASELINE: Final = "bicubic"
"""First row of every table."""


@dataclass(frozen=True)
class Comparison:
    """What a protocol found: one row of numbers for each way of enhancing, bicubic first.

    Attributes
    ----------
    protocol
        Name and version; only rows of one protocol may be compared.
    rows
        Metric name to value, by row name.
    definitions
        One sentence for each metric.
    facts
        Settings the numbers depend on, and what belongs to single metrics.
    better
        Which direction of each metric is better.
    limits
        What the truth itself reaches where a stated rule, not the image, sets the limit.
    ideal
        Value that is best, of each metric of which values near an ideal other than 0 are better.
    data
        Digest of every volume that was compared, by role.
    models
        What made each row: method, digest of the weights, seed, history.
    curves
        Lines of the report's figures, by figure and row: ``{"x": [...], "y": [...]}``.
    """

    protocol: str
    rows: dict[str, dict[str, float]]
    definitions: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)
    better: dict[str, Better] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    ideal: dict[str, float] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    curves: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    software: str = field(default_factory=lambda: f"ctloupe {version('ctloupe')}")
    notice: str = RESEARCH_NOTICE

    def best(self, metric: str) -> float:
        """Value that is best of a metric of which near values are better: the truth's own, or the ideal, or 0."""
        truth = self.limits.get(metric) if self.better.get(metric) == "near truth" else None
        return self.ideal.get(metric, 0.0) if truth is None else truth

    def plain(self) -> dict[str, Any]:
        """Return it as plain data for JSON, which has no infinity: numbers that are not finite become text."""
        found: dict[str, Any] = _plain(asdict(self))
        return found

    def save(self, path: Path, overwrite: bool = True) -> None:
        """Write the record as JSON.

        Raises
        ------
        FileError
            If it exists without `overwrite` or cannot be written.
        """
        save_record(path, self.plain(), overwrite)


class _Record(RootModel[Comparison]):
    """Schema of a record on disk; infinity and what is no number stand there as text."""

    @model_validator(mode="after")
    def _has_baseline(self) -> _Record:
        if BASELINE not in self.root.rows:
            raise ValueError(f"it has no {BASELINE} row")
        return self


def load_comparison(path: Path) -> Comparison:
    """Read a record that `Comparison.save` wrote.

    Raises
    ------
    FileError
        If it is missing or is no such record.
    """
    return load_record(path, _Record, "result of 'ctloupe evaluate'", "give its metrics.json").root


def require_one_protocol(found: Mapping[str, Comparison]) -> None:
    """Refuse to let results of different protocols meet.

    Parameters
    ----------
    found
        Results by the name they have for the reader.

    Raises
    ------
    OptionError
        If two of them differ in protocol or version.
    """
    names = list(found)
    for name in names[1:]:
        if found[name].protocol != found[names[0]].protocol:
            raise OptionError(
                f"{name} was measured by protocol '{found[name].protocol}', {names[0]} by "
                f"'{found[names[0]].protocol}'; their numbers mean different things and must not be compared"
            )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
