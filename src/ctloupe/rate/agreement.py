"""How far raters agree, with each other and with themselves."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scale = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(marks: NDArray[np.float64], scale: Scale = "ordinal") -> float:
    """Krippendorff's α: 1 is perfect agreement, 0 that of chance, negative less than that.

    ``α = 1 − (n − 1) · Σ o_ck δ²_ck / Σ n_c n_k δ²_ck`` over pairs of values c, k, with the coincidences o and their
    margins n (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability").

    Parameters
    ----------
    marks : (raters, items)
        Marks, NaN where a rater gave none; items with fewer than two marks are left out.
    scale
        Which differences count: any (``nominal``), by rank (``ordinal``), or by size (``interval``).

    Returns
    -------
    float
        At most 1; NaN when no item has two marks, or all marks are equal.
    """
    values = np.unique(marks[np.isfinite(marks)])
    coincidences = np.zeros((values.size, values.size))
    for item in marks.T:
        given = item[np.isfinite(item)]
        if given.size < 2:
            continue
        counts = np.array([np.sum(given == value) for value in values], float)
        coincidences += (np.outer(counts, counts) - np.diag(counts)) / (given.size - 1)
    margins = coincidences.sum(0)
    total = margins.sum()
    apart = _squared_differences(values, margins, scale)
    expected = float(margins @ apart @ margins)
    if total < 2 or expected == 0:
        return float("nan")
    return float(1 - (total - 1) * float((coincidences * apart).sum()) / expected)


def _squared_differences(
    values: NDArray[np.float64], margins: NDArray[np.float64], scale: Scale
) -> NDArray[np.float64]:
    if scale == "nominal":
        return 1.0 - np.eye(values.size)
    if scale == "interval":
        return np.asarray((values[:, None] - values[None]) ** 2)
    # Marks between two values, and half of those at them, lie between their ranks.
    ranks = np.cumsum(margins) - margins / 2
    return np.asarray((ranks[:, None] - ranks[None]) ** 2)


def intraclass_correlation(marks: NDArray[np.float64]) -> float:
    """ICC(2,1): agreement of single raters drawn at random (Shrout and Fleiss 1979, case 2).

    ``(BMS − EMS) / (BMS + (k − 1)·EMS + k·(JMS − EMS)/n)`` with the mean squares between items, between raters and of
    the rest. Raters who differ by a constant do not agree fully.

    Parameters
    ----------
    marks : (raters, items)
        Marks, NaN where a rater gave none; items that somebody did not mark are left out.

    Returns
    -------
    float
        At most 1; NaN with fewer than two raters or two complete items, or when all marks are equal.
    """
    whole = marks[:, np.isfinite(marks).all(0)].T
    n, k = whole.shape
    if n < 2 or k < 2:
        return float("nan")
    mean = whole.mean()
    between = k * float(((whole.mean(1) - mean) ** 2).sum()) / (n - 1)
    judges = n * float(((whole.mean(0) - mean) ** 2).sum()) / (k - 1)
    rest = whole - whole.mean(1, keepdims=True) - whole.mean(0, keepdims=True) + mean
    error = float((rest**2).sum()) / ((n - 1) * (k - 1))
    bottom = between + (k - 1) * error + k * (judges - error) / n
    return float((between - error) / bottom) if bottom else float("nan")
