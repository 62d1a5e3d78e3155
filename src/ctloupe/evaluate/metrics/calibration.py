"""Is an uncertainty honest: are errors as large as it says, and largest where it says?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from ctloupe.foundation.errors import GeometryError, OptionError
from ctloupe.volume.volume import Volume

LEVELS: Final = (0.5, 0.8, 0.95)
SAMPLED_VOXELS: Final = 2_000_000
LEVELS_DRAWN: Final = 20
ONE_SIGMA: Final = 0.6826894921370859
"""Share of Gaussian errors within one standard deviation."""

MEANINGS: Final = {
    **{
        f"coverage {100 * level:.0f}%": f"share of errors inside the central {100 * level:.0f}% interval of N(0, σ²)"
        for level in LEVELS
    },
    "calibration error": "mean of |coverage − level| over 20 levels; 0 is best",
    "AUSE": "area between the sparsification curves by σ and by the error itself; 0 is best",
    "Spearman": "rank correlation of σ and |error|, −1 to 1",
    "factor": "what σ has to be multiplied by so that 68% of these errors lie within one σ",
}
"""What the numbers of a `Judgement` mean."""

Values = NDArray[Any]


def coverage(error: Values, deviation: Values, level: float) -> float:
    """Share of voxels whose error lies within the central interval of probability `level` of N(0, σ²).

    `level` itself for a calibrated Gaussian uncertainty; more means that it is too wide.
    """
    return float(np.mean(np.abs(error) <= norm.ppf((1 + level) / 2) * deviation))


def expected_calibration_error(error: Values, deviation: Values, levels: int = LEVELS_DRAWN) -> float:
    """Mean of |coverage − level| over evenly spread levels; 0 is best (Kuleshov et al. 2018, Eq. 9, absolute)."""
    asked, covered = reliability(error, deviation, levels)
    return float(np.mean(np.abs(covered - asked)))


def reliability(
    error: Values, deviation: Values, levels: int = LEVELS_DRAWN
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Evenly spread levels, and the share of errors inside the central interval of each."""
    asked = (np.arange(levels) + 0.5) / levels
    return asked, np.array([coverage(error, deviation, level) for level in asked])


def rank_correlation(error: Values, deviation: Values) -> float:
    """Spearman's ρ of σ and |error|, in [−1, 1]; ties share ranks. NaN when either is constant."""
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
        See `MEANINGS`.
    asked, covered : (20,)
        Levels, and the share of errors inside the central interval of each: the reliability diagram.
    sparsification
        Its two curves.
    factors
        By label number, what σ has to be multiplied by; 0 for all voxels together.
    """

    numbers: dict[str, float]
    asked: NDArray[np.float64]
    covered: NDArray[np.float64]
    sparsification: Sparsification
    factors: dict[int, float]

    def plain(self) -> dict[str, Any]:
        """As plain data for JSON."""
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
        """The same with σ multiplied by the factor of its tissue."""
        return ErrorSample(self.error, recalibrated(self.deviation, self.tissue, factors), self.tissue)

    def judged(self) -> Judgement:
        """Judge the uncertainty by the errors."""
        asked, covered = reliability(self.error, self.deviation)
        curves = sparsification(self.error, self.deviation)
        numbers = {f"coverage {100 * level:.0f}%": coverage(self.error, self.deviation, level) for level in LEVELS}
        numbers |= {
            "calibration error": float(np.mean(np.abs(covered - asked))),
            "AUSE": curves.area,
            "Spearman": rank_correlation(self.error, self.deviation),
            "factor": recalibration(self.error, self.deviation, np.zeros(self.error.size))[0],
        }
        return Judgement(numbers, asked, covered, curves, recalibration(self.error, self.deviation, self.tissue))


def sample_errors(
    enhanced: Volume,
    deviation: Volume,
    truth: Volume,
    mask: NDArray[np.bool_] | None,
    scale: int,
    labels: Volume | None = None,
    seed: int = 0,
) -> ErrorSample:
    """Draw at most two million voxels from the mask, with their error and predicted σ.

    Parameters
    ----------
    enhanced, deviation, truth
        On one grid, in HU; voxels without σ, as outside the mask of the enhancement, are left out.
    mask : bool, on the coarse grid
        Where to compare; None: everywhere.
    scale
        Fine voxels per coarse voxel in y and x.
    labels
        On the same grid; None: all voxels are tissue 0.
    seed
        Of the draw.

    Raises
    ------
    GeometryError
        If the grids differ.
    OptionError
        If no voxel has an uncertainty.
    """
    if not enhanced.shape == deviation.shape == truth.shape:
        raise GeometryError(
            f"`uncertainty` has shape {deviation.shape}, the enhanced volume {enhanced.shape}; give the uncertainty "
            "that was written with it"
        )
    if not np.allclose(enhanced.affine, deviation.affine, atol=1e-3):
        raise GeometryError(
            "`uncertainty` lies elsewhere than the enhanced volume (spacing, origin or direction differ); give the "
            "uncertainty that was written with it"
        )
    random = np.random.default_rng(seed)
    share = SAMPLED_VOXELS // truth.shape[0] + 1
    errors, deviations, tissues = [], [], []
    for z in range(truth.shape[0]):
        sigma = np.asarray(deviation.data[z], np.float32)
        inside = sigma > 0
        if mask is not None:
            inside &= mask[z].repeat(scale, 0).repeat(scale, 1)
        places = np.flatnonzero(inside)
        if places.size > share:
            places = random.choice(places, share, replace=False)
        off = np.asarray(enhanced.data[z], np.float32) - np.asarray(truth.data[z], np.float32)
        errors.append(off.ravel()[places])
        deviations.append(sigma.ravel()[places])
        found = np.zeros(places.size) if labels is None else np.asarray(labels.data[z]).ravel()[places]
        tissues.append(found.astype(np.int64))
    error, predicted = np.concatenate(errors).astype(float), np.concatenate(deviations).astype(float)
    if not error.size:
        raise OptionError("`uncertainty`: no voxel inside the mask has one")
    return ErrorSample(error, predicted, np.concatenate(tissues))
