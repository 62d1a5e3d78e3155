"""Is an uncertainty honest: are errors as large as it says, and largest where it says?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ctloupe.evaluate.metrics.base import UNCERTAINTY, Accumulator, Metric
from ctloupe.evaluate.metrics.questions import HONEST_UNCERTAINTY
from ctloupe.foundation.errors import OptionError

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Setting

LEVELS: Final = (0.5, 0.8, 0.95)
SAMPLED_VOXELS: Final = 2_000_000
LEVELS_DRAWN: Final = 20
ONE_SIGMA: Final = 0.6826894921370859
"""Share of Gaussian errors within one standard deviation."""

Values = NDArray[Any]


def coverage(error: Values, deviation: Values, level: float) -> float:
    """Share of voxels whose error lies within the central interval of probability `level` of N(0, σ²).

    `level` itself for a calibrated Gaussian uncertainty; more means that it is too wide.
    """
    return float(np.mean(np.abs(error) <= ndtri((1 + level) / 2) * deviation))


def reliability(
    error: Values, deviation: Values, levels: int = LEVELS_DRAWN
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Evenly spread levels, and the share of errors inside the central interval of each."""
    asked = (np.arange(levels) + 0.5) / levels
    return asked, np.array([coverage(error, deviation, level) for level in asked])


def rank_correlation(error: Values, deviation: Values) -> float:
    """Spearman's ρ of σ and |error|, in [−1, 1]; ties share ranks. NaN when either is constant."""
    # Half a second of import, which most evaluations do not need.
    from scipy.stats import rankdata

    a, b = rankdata(np.abs(error).ravel()), rankdata(deviation.ravel())
    a, b = a - a.mean(), b - b.mean()
    length = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / length) if length > 0 else float("nan")


@dataclass(frozen=True)
class Sparsification:
    """Mean absolute error of what is left after the least certain voxels are taken away (Ilg et al. 2018).

    Attributes
    ----------
    removed : (n,)
        Shares taken away.
    by_deviation, by_error : (n,)
        Mean |error| left, as a share of that of all voxels, when the order is that of σ, and when it is that of the
        error itself, which no uncertainty can beat.
    """

    removed: NDArray[np.float64]
    by_deviation: NDArray[np.float64]
    by_error: NDArray[np.float64]

    @property
    def area(self) -> float:
        """AUSE: area between both curves; 0 is best, about 0.5 for one that knows nothing of Gaussian errors."""
        return float(np.trapezoid(self.by_deviation - self.by_error, self.removed))


def sparsification(error: Values, deviation: Values, steps: int = 50) -> Sparsification:
    """Sparsification curves at `steps` shares from 0 up to, not including, 1."""
    size = np.abs(np.asarray(error, float)).ravel()
    removed = np.arange(steps) / steps
    kept = np.maximum(1, np.rint((1 - removed) * size.size).astype(int))

    def left(order: NDArray[np.intp]) -> NDArray[np.float64]:
        means: NDArray[np.float64] = np.cumsum(size[order])[kept - 1] / kept
        return means / max(size.mean(), np.finfo(float).tiny)

    return Sparsification(
        removed,
        left(np.argsort(np.asarray(deviation).ravel(), kind="stable")),
        left(np.argsort(size, kind="stable")),
    )


def recalibration(error: Values, deviation: Values, tissue: Values) -> dict[int, float]:
    """One factor for each tissue by which σ has to be multiplied so that 68.3% of the errors lie within one σ.

    It is the quantile of |error| / σ at that level, as split conformal calibration takes it (Angelopoulos et al. 2022,
    Algorithm 1). The root mean square of error / σ, which maximises the Gaussian likelihood (Laves et al. 2020, Eq. 6)
    and equals it for Gaussian errors, is ruled by the few voxels with σ near 0 where all passes were clipped alike.
    Fit it on one phantom and apply it to another. Voxels without σ are left out; a tissue without any gets 1.
    """
    factors = {}
    for label in np.unique(tissue):
        inside = (tissue == label) & (deviation > 0)
        ratio = np.abs(np.asarray(error, float)[inside]) / np.asarray(deviation, float)[inside]
        factors[int(label)] = float(np.quantile(ratio, ONE_SIGMA)) if ratio.size else 1.0
    return factors


def recalibrated(deviation: Values, tissue: Values, factors: dict[int, float]) -> NDArray[np.float64]:
    """σ multiplied by the factor of its tissue; 1 for a tissue that has none."""
    scaled = np.asarray(deviation, float).copy()
    for label, factor in factors.items():
        scaled[tissue == label] *= factor
    return scaled


@dataclass(frozen=True)
class Judgement:
    """What an uncertainty is worth.

    Attributes
    ----------
    numbers
        Values of the metrics of `CALIBRATION`, by label.
    asked, covered : (20,)
        Levels, and the share of errors inside the central interval of each: the reliability diagram.
    sparsification
        Its two curves.
    factors
        What σ has to be multiplied by, by label number; number 0 where no label is known.
    """

    numbers: dict[str, float]
    asked: NDArray[np.float64]
    covered: NDArray[np.float64]
    sparsification: Sparsification
    factors: dict[int, float]

    def plain(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return {
            **self.numbers,
            "reliability": {"asked": self.asked.tolist(), "covered": self.covered.tolist()},
            "factors": {str(label): factor for label, factor in self.factors.items()},
        }


@dataclass(frozen=True)
class ErrorSample:
    """Errors, predicted standard deviations and label numbers of voxels drawn from a volume, each (n,)."""

    error: NDArray[np.float64]
    deviation: NDArray[np.float64]
    tissue: NDArray[np.int64]

    def recalibrated(self, factors: dict[int, float]) -> ErrorSample:
        """Return the same with σ multiplied by the factor of its tissue."""
        return ErrorSample(self.error, recalibrated(self.deviation, self.tissue, factors), self.tissue)

    def coverage(self, level: float) -> float:
        """Share of the errors inside the central interval of probability `level`."""
        return coverage(self.error, self.deviation, level)

    @cached_property
    def reliability(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Levels, and the share of errors inside the central interval of each."""
        return reliability(self.error, self.deviation)

    def calibration_error(self) -> float:
        """Mean of |coverage − level| over evenly spread levels; 0 is best (Kuleshov et al. 2018, Eq. 9, absolute)."""
        asked, covered = self.reliability
        return float(np.mean(np.abs(covered - asked)))

    @cached_property
    def sparsification(self) -> Sparsification:
        """Sparsification curves by σ and by the error itself."""
        return sparsification(self.error, self.deviation)

    def rank_correlation(self) -> float:
        """Spearman's ρ of σ and |error|."""
        return rank_correlation(self.error, self.deviation)

    def factor(self) -> float:
        """Factor for σ over all voxels together."""
        return recalibration(self.error, self.deviation, np.zeros(self.error.size))[0]

    def judged(self) -> Judgement:
        """Judge the uncertainty by the errors."""
        numbers = {metric.label: metric.read(self) for metric in CALIBRATION}
        factors = recalibration(self.error, self.deviation, self.tissue)
        return Judgement(numbers, *self.reliability, self.sparsification, factors)


class SampledErrors(Accumulator):
    """Draws at most about two million voxels that have an uncertainty from the mask, an equal share of each slice.

    Parameters
    ----------
    setting
        What is compared where.
    seed
        Seed of the draw.
    """

    def __init__(self, setting: Setting, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._share = SAMPLED_VOXELS // setting.slices + 1
        self._errors: list[NDArray[np.float32]] = []
        self._deviations: list[NDArray[np.float32]] = []
        self._tissues: list[NDArray[np.int64]] = []

    def add(self, seen: ImageSlice) -> None:
        """Take a slice in HU into account; pixels without σ, as outside the mask of the enhancement, are left out."""
        reference = seen.reference
        counted = seen.deviation > 0
        if reference.inside is not None:
            counted &= reference.inside
        places = np.flatnonzero(counted)
        if places.size > self._share:
            places = self._random.choice(places, self._share, replace=False)
        self._errors.append((seen.plane - reference.truth).ravel()[places])
        self._deviations.append(seen.deviation.ravel()[places])
        tissue = reference.labels.ravel()[places] if reference.has_labels else np.zeros(places.size)
        self._tissues.append(tissue.astype(np.int64))

    @cached_property
    def sample(self) -> ErrorSample:
        """What was drawn; `OptionError` if no voxel has an uncertainty."""
        error, predicted = (np.concatenate(parts).astype(float) for parts in (self._errors, self._deviations))
        if not error.size:
            raise OptionError("`uncertainty`: no voxel inside the mask has one")
        return ErrorSample(error, predicted, np.concatenate(self._tissues))


def _metric(of: Callable[[ErrorSample], float], **more: Any) -> Metric:
    """Metric of a sample of errors, read from what was drawn slice by slice or from a sample itself."""

    def read(gathered: SampledErrors | ErrorSample) -> float:
        return of(gathered.sample if isinstance(gathered, SampledErrors) else gathered)

    return Metric(unit="", question=HONEST_UNCERTAINTY, needs=UNCERTAINTY, accumulator=SampledErrors, read=read, **more)


def _coverage(level: float) -> Metric:
    percent = f"{100 * level:.0f}"
    return _metric(
        lambda sample: sample.coverage(level),
        key=f"coverage_{percent}_percent",
        label=f"coverage {percent}%",
        meaning=f"share of errors inside the central {percent}% interval of N(0, σ²)",
        better="near ideal",
        ideal=level,
    )


CALIBRATION: Final = (
    *(_coverage(level) for level in LEVELS),
    _metric(
        ErrorSample.calibration_error,
        key="calibration_error",
        label="calibration error",
        meaning="mean of |coverage − level| over 20 levels; 0 is best",
        better="less",
        ideal=0.0,
    ),
    _metric(
        lambda sample: sample.sparsification.area,
        key="ause",
        label="AUSE",
        meaning="area between the sparsification curves by σ and by the error itself; 0 is best",
        better="less",
    ),
    _metric(
        ErrorSample.rank_correlation,
        key="spearman",
        label="Spearman",
        meaning="rank correlation of σ and |error|, −1 to 1",
        better="more",
    ),
    _metric(
        ErrorSample.factor,
        key="factor",
        label="factor",
        meaning="what σ has to be multiplied by so that 68% of these errors lie within one σ",
        better="near ideal",
        ideal=1.0,
    ),
)
"""What an uncertainty is worth."""
