"""Columns of a study's tables: the metrics of its protocols, the errors by tissue, and what a method costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ctloupe.evaluate.metrics.base import Better, Metric
from ctloupe.evaluate.protocols.registry import metrics_by_label
from ctloupe.foundation.errors import OptionError


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
ARITHMETIC: Final = Column(
    "training_gflop",
    "arithmetic of a training step (GFLOP)",
    "counted floating-point operations of a training step of one patch of each modality (all stages)",
)
COST: Final = (PARAMETERS, ARITHMETIC, TRAINING_EPOCH, INFERENCE)
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


def numbers_by_label(paper: Mapping[str, float], row: str) -> dict[str, float]:
    """Bring the numbers that a paper states under the labels of their columns.

    Parameters
    ----------
    paper
        Numbers by the key of a metric; a label is read too, since the records of studies may hold it.
    row
        Key of the row of the study, for the message.

    Raises
    ------
    OptionError
        If no metric has the name.
    """
    known = columns_by_key()
    named = known | {column.label: column for column in known.values()}
    unknown = [name for name in paper if name not in named]
    if unknown:
        raise OptionError(f"row {row}: no metric has the key '{unknown[0]}'; keys are: {', '.join(known)}")
    return {named[name].label: value for name, value in paper.items()}
