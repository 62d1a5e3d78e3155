"""What a metric is: a number with a name, a unit and a meaning, gathered slice by slice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ctloupe.evaluate.metrics.questions import Question

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Setting

Better = Literal["more", "less", "near 0", "near ideal", "near truth"]
"""Which values of a metric are better ones; `near truth`: those near what the truth itself has by the same rule."""

Need = Literal["scan", "truth", "labels", "micro", "uncertainty", "pair"]
"""What has to be known besides the image, so that a metric can be measured."""


@dataclass(frozen=True)
class Curve:
    """A line of a figure of the report.

    Attributes
    ----------
    figure
        Name of the figure, as the record keeps it.
    x, y : (n,)
        Points of the image's line.
    truth : (n,) or None
        Values of the truth's own line at the same places, where it has one.
    """

    figure: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    truth: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class SizeTable:
    """How the report shows what was found of one structure by size class.

    Attributes
    ----------
    structure
        Name of the structure, as `Accumulator.by_size` has it.
    caption
        Sentence above the table; structures with the same one stand side by side in one table.
    cell
        What a cell says of the numbers of a class, by their place: "{0} of {1}".
    heading
        Heading of a column, of ``structure`` and ``size``.
    """

    structure: str
    caption: str
    cell: str
    heading: str = "{size}"


class Accumulator(ABC):
    """Gathers what one image shows, slice by slice. Metrics of one family read the same one."""

    @abstractmethod
    def add(self, seen: ImageSlice) -> None:
        """Take a slice of the image into account."""

    def result(self) -> float:
        """Return what was gathered as one number, where it is one."""
        raise NotImplementedError(f"{type(self).__name__} holds several numbers; a metric has to say which it reads")

    def by_size(self) -> dict[str, Any]:
        """Return what was found by size class, by name of the structure; empty where size plays no part."""
        return {}

    def curves(self) -> tuple[Curve, ...]:
        """Return the lines that the report draws; none for most metrics."""
        return ()


def _result(gathered: Any) -> float:
    found: float = gathered.result()
    return found


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that says one thing about an enhanced image.

    Words, tables, leaderboards and records are made from these attributes alone.

    Attributes
    ----------
    key
        Name for programs: lower case and underscores, with the unit at its end.
    label
        Name that records and tables hold, with the unit in brackets.
    unit
        Unit of the number; empty for a bare number.
    meaning
        One sentence that defines the number.
    better
        Which values are better ones.
    question
        The question that it answers.
    accumulator
        Makes what gathers the slices of one image. Metrics that have the same one share what it gathers.
    read
        Takes the number out of what was gathered; by default its `result`.
    needs
        What has to be known besides the image.
    ideal
        Value of a perfect image; None where the pixel or a stated rule decides it.
    in_summary
        Whether the answer in words names it; a metric that repeats another one stands in tables only.
    has_limit
        Whether a stated rule, not the image, sets what can be reached: the truth is then measured by the same rule.
    by_slice
        Takes the numbers of the single slices out of what was gathered, where a record keeps them.
    interval
        Takes its 95% interval out of what was gathered, where it has one by itself.
    against_bicubic
        What the number is made of, where it is a relation: own value and that of bicubic interpolation.
    where
        Whether the metric has a meaning in a setting, beyond what it needs.
    sizes
        How the report shows what was found by size class, where the metric's family gathers that.
    protocols
        Names of the protocols that a metric from another package joins.
    """

    key: str
    label: str
    unit: str
    meaning: str
    better: Better
    question: Question
    accumulator: Callable[[Setting], Accumulator]
    read: Callable[[Any], float] = _result
    needs: frozenset[Need] = field(default_factory=frozenset)
    ideal: float | None = None
    in_summary: bool = True
    has_limit: bool = False
    by_slice: Callable[[Any], list[float]] | None = None
    interval: Callable[[Any], tuple[float, float]] | None = None
    against_bicubic: Callable[[float, float], float] | None = None
    where: Callable[[Setting], bool] | None = None
    sizes: SizeTable | None = None
    protocols: tuple[str, ...] = ()

    def applies(self, setting: Setting) -> bool:
        """Whether it can be measured in a setting, and has a meaning there."""
        return self.needs <= setting.known and (self.where is None or self.where(setting))

    def best(self, truth: float | None = None) -> float:
        """Value to be near to, where near ones are better: the `truth`, where it decides and is known, or the ideal."""
        return truth if self.better == "near truth" and truth is not None else self.ideal or 0.0

    def prefers(self, one: float, other: float, truth: float | None = None) -> bool:
        """Whether `one` is strictly better than `other`; `truth` is what the truth itself has, where it is known."""
        return is_better(self.better, one, other, self.best(truth))


def is_better(better: Better, one: float, other: float, ideal: float = 0.0) -> bool:
    """Whether `one` is strictly better than `other`, for a metric of which `better` values are better ones.

    Parameters
    ----------
    better, one, other
        Direction and the two values.
    ideal
        Value to be near to, for ``near ideal`` and ``near truth``.
    """
    off_one, off_other = off_ideal(better, one, ideal), off_ideal(better, other, ideal)
    return bool(off_one > off_other if better == "more" else off_one < off_other)


def off_ideal(better: Better, values: ArrayLike, ideal: ArrayLike = 0.0) -> NDArray[np.float64]:
    """Values as they are ranked: their distances from the `ideal` where near ones are better, else themselves."""
    found = np.asarray(values, float)
    return np.abs(found - np.asarray(ideal)) if better.startswith("near") else found


def finite_mean(values: ArrayLike) -> float:
    """Mean of the finite values; NaN without any."""
    found = np.asarray(values, float)
    found = found[np.isfinite(found)]
    return float(found.mean()) if found.size else float("nan")


SCAN: Final[frozenset[Need]] = frozenset({"scan"})
TRUTH: Final[frozenset[Need]] = frozenset({"truth"})
LABELS: Final[frozenset[Need]] = frozenset({"truth", "labels"})
MICRO: Final[frozenset[Need]] = frozenset({"micro"})
PAIR: Final[frozenset[Need]] = frozenset({"pair"})
UNCERTAINTY: Final[frozenset[Need]] = frozenset({"truth", "uncertainty"})
