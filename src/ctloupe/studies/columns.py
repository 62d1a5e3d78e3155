"""Columns of a study's tables: the metrics of its protocols, the errors by tissue, and what a method costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ctloupe.evaluate.metrics.base import Better, Metric
from ctloupe.evaluate.protocols.registry import metrics_by_label


@dataclass(frozen=True)
class Column:
    """A number of a table that is not a metric of an enhanced image.

    Attributes
    ----------
    key
        Name for programs and definitions of studies: lower case and underscores, with the unit at its end.
    label
        Name that records and tables hold, with the unit in brackets.
    meaning
        One sentence that defines the number.
    better
        Which values are better ones.
    """

    key: str
    label: str
    meaning: str
    better: Better = "less"


PARAMETERS: Final = Column("parameters", "parameters", "trainable parameters of all networks that the training needs")
TRAINING_EPOCH: Final = Column(
    "training_epoch_s",
    "training epoch (s)",
    "measured time of training steps of batch size 1, times 2,000 patches (all stages)",
)
INFERENCE: Final = Column(
    "inference_s",
    "inference (s)",
    "measured time of one slice of the held-out phantom, the whole volume's statistics included",
)
COST: Final = (PARAMETERS, TRAINING_EPOCH, INFERENCE)
"""What a method costs."""


def tissue_error(tissue: str) -> Column:
    """Return the column of the mean absolute error in HU over the voxels of one tissue."""
    return Column(
        f"mae_{tissue.replace(' ', '_')}_hu",
        f"MAE {tissue} (HU)",
        f"mean absolute difference to the truth in HU over the voxels of each tissue: {tissue}",
    )


def columns_by_key() -> dict[str, Metric | Column]:
    """Every column that a paper may have a number for, by key: the metrics of all protocols and the cost."""
    columns: list[Metric | Column] = [*metrics_by_label().values(), *COST]
    return {column.key: column for column in columns}
