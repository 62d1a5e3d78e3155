"""Can an image be told from µCT? A classifier two-sample test on patches (Lopez-Paz and Oquab 2017, arXiv:1610.06545).

A classifier learns to tell patches of the image from patches of a µCT in one half of both, and is asked in the other:
half of its answers are right where there is no difference that it can learn. The classifier is a logistic regression on
a fixed bank of features; ``benchmarks/told.py`` compares it with a small convolutional network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from ctloupe.evaluate.metrics.base import MICRO, Accumulator, Metric
from ctloupe.evaluate.metrics.questions import TEXTURE

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Setting

SIDE: Final = 32
"""Side of a patch in pixels."""

PATCHES_PER_SLICE: Final = 64

LEAST_PATCHES: Final = 16
"""Patches of each kind, in each half, below which nothing is learnt."""

FAINTEST: Final = 1e-6
"""Power below which nothing counts, in squared units of [−1, 1]: rounding to whole HU leaves about as much."""

RIDGE: Final = 3.0
"""Weight of the penalty on squared coefficients: standard normal ones would have 1."""

LIMIT: Final = 4.0
"""Standard deviations at which a feature is cut off, so that single patches do not rule the rest."""

Features = NDArray[np.float64]
Flags = NDArray[np.bool_]

_Y, _X = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]
_RING: Final = np.minimum(np.rint(np.hypot(_Y, _X) * SIDE), SIDE // 2).astype(int)
_HANN: Final = np.outer(np.hanning(SIDE + 1)[:-1], np.hanning(SIDE + 1)[:-1])


def patch_features(patches: NDArray[np.floating]) -> Features:
    """Describe patches by numbers: grey values, power by frequency and at harmonics, shape of the fine detail.

    Parameters
    ----------
    patches : (n, 32, 32)
        Patches in [−1, 1].

    Returns
    -------
    (n, features)
        Quantiles, mean and logarithm of the variance; logarithms of the power in rings of frequency, along both axes,
        and at the harmonics of 2, 4 and 8 pixels; of two levels of detail, kurtosis, skewness, and logarithm of the
        correlation between neighbours.
    """
    flat = patches.reshape(len(patches), -1).astype(np.float64)
    mean = flat.mean(1)
    found = [*np.quantile(flat, (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99), axis=1), mean]
    found.append(_log(flat.var(1)))
    centred = patches - mean[:, None, None]
    power = np.abs(np.fft.rfft2(centred * _HANN)) ** 2 / np.sum(_HANN**2)
    found += [_log(power[:, ring == _RING].mean(1)) for ring in (1, 2, 3, 4, 6, 8, 10, 12, 14)]
    found.append(_log(power[:, _RING == SIDE // 2].mean(1)))
    found += [_log(power[:, SIDE // 4 : SIDE // 2, 0].mean(1)), _log(power[:, 0, SIDE // 4 :].mean(1))]
    for period in (2, 4, 8):
        step = SIDE // period
        harmonics = power[:, ::step, ::step].reshape(len(power), -1)[:, 1:]
        found.append(_log(harmonics.mean(1)))
    current = centred
    for sigma in (0.7, 1.4):
        smooth = gaussian_filter(current, (0, sigma, sigma), mode="reflect")
        found += _shape(current - smooth)
        current = smooth
    return np.stack(found, axis=1)


def _log(power: NDArray[Any]) -> Features:
    logarithm: Features = np.log(power + FAINTEST)
    return logarithm


def _shape(detail: NDArray[Any]) -> list[Features]:
    """Kurtosis, skewness, and correlation of neighbours along both axes, of detail whose mean is about 0."""
    # Powers as products: others than squares take NumPy twenty times as long.
    square = detail * detail
    variance = np.mean(square, axis=(1, 2)) + FAINTEST
    along = [np.mean(detail[:, :-1] * detail[:, 1:], axis=(1, 2)), np.mean(detail[..., :-1] * detail[..., 1:], (1, 2))]
    kurtosis = np.log(np.mean(square * square, axis=(1, 2)) / variance**2 + 1)
    return [
        kurtosis,
        np.cbrt(np.mean(square * detail, axis=(1, 2)) / variance**1.5),
        *(one / variance for one in along),
    ]


class Patches:
    """Features of patches of the slices that were added, and where they lie.

    Patches are evenly spread squares of a grid, wholly inside the mask, at most 64 a slice: none overlaps another.
    """

    def __init__(self) -> None:
        self._features: list[Features] = []
        self._rows: list[NDArray[np.intp]] = []

    def add(self, unit: NDArray[Any], inside: Flags | None = None) -> None:
        """Take a slice in [−1, 1] into account; `inside` says which pixels count, all when None."""
        patches, rows = patches_of(unit, inside)
        if len(rows):
            self._features.append(patch_features(patches))
            self._rows.append(rows)

    def halves(self) -> tuple[Features, Features]:
        """Features of the patches in the upper and in the lower part of the volume, about as many in each.

        All slices are cut at one row, so that no patch of one part touches the other's through the slices either.
        """
        if not self._rows:
            return np.empty((0, 0)), np.empty((0, 0))
        rows, features = np.concatenate(self._rows), np.concatenate(self._features)
        cuts = np.unique(rows)
        above = np.searchsorted(np.sort(rows), cuts)
        lower = rows >= cuts[np.argmin(np.abs(above - len(rows) / 2))]
        return features[~lower], features[lower]


def patches_of(unit: NDArray[Any], inside: Flags | None = None) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Cut a slice into squares that lie wholly inside: at most 64 evenly spread patches, and the row of each."""
    height, width = (length // SIDE for length in unit.shape)
    if not height or not width:
        return np.empty((0, SIDE, SIDE)), np.empty(0, np.intp)
    grid = _squares(unit, height, width)
    kept = np.arange(height * width)
    if inside is not None:
        kept = kept[_squares(inside, height, width).all((1, 2))]
    if len(kept) > PATCHES_PER_SLICE:
        kept = kept[np.linspace(0, len(kept) - 1, PATCHES_PER_SLICE).astype(int)]
    return grid[kept], kept // width


def _squares(plane: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    cut = plane[: height * SIDE, : width * SIDE].reshape(height, SIDE, width, SIDE)
    return cut.swapaxes(1, 2).reshape(-1, SIDE, SIDE)


def right_answers(image: Patches, micro: Patches) -> tuple[int, int]:
    """Train in each half and ask in the other: how many answers are right, and of how many.

    As many patches of one kind as of the other are used, so that guessing is right half of the time.
    """
    right = asked = 0
    ours, theirs = image.halves(), micro.halves()
    count = [min(len(one), len(other)) for one, other in zip(ours, theirs, strict=True)]
    if min(count) < LEAST_PATCHES:
        return 0, 0
    sets = [(_even(one, n), _even(other, n)) for one, other, n in zip(ours, theirs, count, strict=True)]
    for learnt, held in (sets, sets[::-1]):
        score = Regression(*learnt).score
        right += int(np.sum(score(held[0]) > 0)) + int(np.sum(score(held[1]) < 0))
        # A tie is a guess; both kinds have as many where the sets are equal.
        right += round(float(np.sum(score(held[0]) == 0) + np.sum(score(held[1]) == 0)) / 2)
        asked += len(held[0]) + len(held[1])
    return right, asked


def _even(features: Features, count: int) -> Features:
    return features[np.linspace(0, len(features) - 1, count).astype(int)]


class Regression:
    """Logistic regression that tells two sets of features apart, on the features and their squares, with a penalty.

    Parameters
    ----------
    one, other : (n, features)
        Both kinds; `score` is above 0 for what looks like the first.
    """

    STEPS: Final = 25

    def __init__(self, one: Features, other: Features) -> None:
        both = np.concatenate([one, other])
        self._middle, spread = both.mean(0), both.std(0)
        self._spread = np.where(spread > 1e-9, spread, 1.0)
        terms = self._terms(both)
        wanted = np.repeat([1.0, 0.0], [len(one), len(other)])
        penalty = np.full(terms.shape[1], RIDGE)
        penalty[0] = 0.0
        self._weights = np.zeros(terms.shape[1])
        for _ in range(self.STEPS):
            likely = expit(terms @ self._weights)
            slope = terms.T @ (likely - wanted) + penalty * self._weights
            curvature = (terms * (likely * (1 - likely))[:, None]).T @ terms + np.diag(penalty + 1e-9)
            step = np.linalg.solve(curvature, slope)
            self._weights -= step
            if np.abs(step).max() < 1e-6:
                break

    def _terms(self, features: Features) -> Features:
        scaled = ((features - self._middle) / self._spread).clip(-LIMIT, LIMIT)
        return np.concatenate([np.ones((len(scaled), 1)), scaled, scaled**2 - 1], axis=1)

    def score(self, features: Features) -> Features:
        """Logarithm of the odds that patches are of the first kind, to ten digits: equal sets are a tie."""
        odds: Features = np.round(self._terms(features) @ self._weights, 10)
        return odds


def wilson(right: int, asked: int, z: float = 1.959964) -> tuple[float, float]:
    """95% interval of a share (Wilson 1927, doi:10.1080/01621459.1927.10502953); NaN where nothing was asked."""
    if not asked:
        return float("nan"), float("nan")
    share, weight = right / asked, z**2 / asked
    middle = (share + weight / 2) / (1 + weight)
    half = z * np.sqrt(share * (1 - share) / asked + weight / (4 * asked)) / (1 + weight)
    return float(middle - half), float(middle + half)


class ToldFromMicro(Accumulator):
    """Patches of an image inside the mask, of the slices looked at closely, beside those of the setting's µCT."""

    def __init__(self, setting: Setting) -> None:
        if setting.unpaired is None:
            raise ValueError("no µCT is known; a metric that uses it has to say that it needs it")
        self._unpaired = setting.unpaired
        self._own = Patches()
        self._answers: tuple[int, int] | None = None

    def add(self, seen: ImageSlice) -> None:
        """Take a slice in HU into account."""
        if seen.reference.detailed:
            self._own.add(self._unpaired.clinical_window.to_unit(seen.as_micro), seen.reference.inside)
            self._answers = None

    def _asked(self) -> tuple[int, int]:
        if self._answers is None:
            self._answers = right_answers(self._own, self._unpaired.texture.patches)
        return self._answers

    def result(self) -> float:
        """Return the share of right answers in percent; NaN with fewer than 16 patches in a half."""
        right, asked = self._asked()
        return 100 * right / asked if asked else float("nan")

    def interval(self) -> tuple[float, float]:
        """Return its 95% interval, as if patches were independent."""
        low, high = wilson(*self._asked())
        return 100 * low, 100 * high


TOLD: Final = Metric(
    key="told_from_micro_percent",
    label="told from µCT (%)",
    unit="%",
    meaning="share of patches of 32×32 pixels, of SR and of unpaired µCT, that a classifier trained in the other half "
    "of both tells apart (Lopez-Paz and Oquab 2017), both mapped to [−1, 1] by their windows; 50 is the same texture",
    better="near truth",
    question=TEXTURE,
    needs=MICRO,
    ideal=50.0,
    has_limit=True,
    accumulator=ToldFromMicro,
    interval=ToldFromMicro.interval,
)
"""Whether the image can be told from µCT."""
