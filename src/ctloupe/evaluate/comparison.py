"""What a comparison found, and by which recipe: a record that can be saved, read and checked before it is used."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.notice import RESEARCH_NOTICE

Better = Literal["more", "less", "near 0"]
BASELINE: Final = "bicubic"
"""First row of every table."""


@dataclass(frozen=True)
class Metric:
    """What a number means, in one sentence, and which direction is better."""

    meaning: str
    better: Better


@dataclass(frozen=True)
class Recipe:
    """A named way to compare. Change anything that changes a number, and the version goes up.

    Attributes
    ----------
    name, version
        Only results with both equal may stand in one table.
    compares
        With what, in a few words.
    metrics
        All that it can find; those that need labels, µCT or several slices appear when these are given.
    """

    name: str
    version: int
    compares: str
    metrics: Mapping[str, Metric]

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name}, version {self.version}"

    def comparison(self, rows: dict[str, dict[str, float]], **more: Any) -> Comparison:
        """Make the record of rows that were found by this recipe."""
        there = [metric for metric in self.metrics if any(metric in row for row in rows.values())]
        return Comparison(
            self.title,
            rows,
            {metric: self.metrics[metric].meaning for metric in there},
            better={metric: self.metrics[metric].better for metric in there},
            **more,
        )


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
    data: dict[str, str] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    curves: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    software: str = field(default_factory=lambda: f"ctloupe {version('ctloupe')}")
    notice: str = RESEARCH_NOTICE

    def plain(self) -> dict[str, Any]:
        """As plain data for JSON, which has no infinity: numbers that are not finite become text."""
        found: dict[str, Any] = _plain(asdict(self))
        return found

    def save(self, path: Path, overwrite: bool = True) -> None:
        """Write the record as JSON.

        Raises
        ------
        FileError
            If it exists without `overwrite` or cannot be written.
        """
        with replacing(path, overwrite) as temporary:
            temporary.write_text(json.dumps(self.plain(), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def load_comparison(path: Path) -> Comparison:
    """Read a record that `Comparison.save` wrote.

    Raises
    ------
    FileError
        If it is missing or is no such record.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = {str(name): {key: float(value) for key, value in row.items()} for name, row in content["rows"].items()}
        known = {key: content[key] for key in Comparison.__dataclass_fields__ if key in content}
        found = Comparison(**{**known, "rows": rows})
        if not isinstance(found.protocol, str) or BASELINE not in rows:
            raise ValueError("it has no protocol or no bicubic row")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise FileError(f"{path}: no result of 'ctloupe evaluate' ({why}); give its metrics.json") from error
    return found


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
