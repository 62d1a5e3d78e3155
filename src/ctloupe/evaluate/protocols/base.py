"""What a protocol is: a name, a version, and a list of metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.metrics.base import Metric
from ctloupe.evaluate.metrics.outside import outside_metrics


@dataclass(frozen=True)
class Protocol:
    """A named way to compare. Change anything that changes a number, and the version goes up.

    Attributes
    ----------
    name, version
        Only results with both equal may stand in one table.
    compares
        What images are compared with, in a few words.
    own
        The metrics that belong to it, in the order of its tables. Those that need labels, µCT or several slices are
        measured when these are given.
    """

    name: str
    version: int
    compares: str
    own: tuple[Metric, ...]

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name}, version {self.version}"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Its own metrics, and those of other packages that join it."""
        return (*self.own, *outside_metrics(self.name))

    def comparison(self, rows: dict[str, dict[str, float]], **more: Any) -> Comparison:
        """Make the record of rows of numbers by label that were found by this protocol."""
        there = [metric for metric in self.metrics if any(metric.label in row for row in rows.values())]
        return Comparison(
            self.title,
            rows,
            {metric.label: metric.meaning for metric in there},
            better={metric.label: metric.better for metric in there},
            ideal={metric.label: metric.ideal for metric in there if metric.better.startswith("near") and metric.ideal},
            **more,
        )
