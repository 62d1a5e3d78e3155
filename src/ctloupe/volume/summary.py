"""What one wants to know of a volume before trusting it: geometry, intensities, and what looks odd."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.location import Location
from ctloupe.foundation.progress import stretch
from ctloupe.volume import geometry
from ctloupe.volume.formats import detect, format_of
from ctloupe.volume.slabs import slabs_of
from ctloupe.volume.volume import Modality, Volume, require_finite

PERCENTS = (0.1, 1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0, 99.9)

_COUNTED_AT_ONCE = 1 << 22
_SAMPLE = 2_000_000
_SEED = 20


@dataclass(frozen=True)
class VolumeSummary:
    """Facts about a volume; `as_dict` is ready for JSON.

    Attributes
    ----------
    format : str
        Name of the file's format, as `formats.detect` gives it; ``memory`` where there is no file.
    shape, spacing, extent_mm : (z, y, x)
        Number of voxels, their size in mm, and the product of both.
    orientation : str
        Letters of the index directions, as `geometry.orientation_code` gives them.
    origin, direction : (x, y, z), and 3×3
        Place in mm of the first voxel's centre, and the unit vectors of the index axes x, y, z as columns; both in
        patient coordinates (LPS).
    modality_guess, modality_reason : str
        What the values and the voxel size suggest, and why.
    percentiles : mapping of percent to value
        Percentiles of the values, linear between ranks as in `numpy.percentile`.
    fraction_saturated : float
        Share of voxels at the lowest or highest value of an integer type; 0 for floats.
    warnings : tuple of str
        What looks odd, each in one line; the notes of the reader first.
    """

    format: str
    shape: tuple[int, int, int]
    spacing: geometry.Triple
    extent_mm: geometry.Triple
    orientation: str
    origin: geometry.Triple
    direction: geometry.Direction
    dtype: str
    units: str
    modality: str
    modality_guess: Modality
    modality_reason: str
    minimum: float
    maximum: float
    percentiles: Mapping[float, float]
    fraction_saturated: float
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings; percentiles are keyed by their text, for instance ``"0.1"``."""
        plain = asdict(self)
        plain["percentiles"] = {f"{percent:g}": value for percent, value in self.percentiles.items()}
        for name in ("shape", "spacing", "extent_mm", "origin", "warnings"):
            plain[name] = list(plain[name])
        plain["direction"] = [list(row) for row in self.direction]
        return plain


@dataclass(frozen=True)
class _Statistics:
    minimum: float
    maximum: float
    percentiles: dict[float, float]
    share_lowest: float
    share_highest: float
    share_minimum: float


def summarise(volume: Volume, path: Location | None = None) -> VolumeSummary:
    """Look once at every voxel of `volume`, slab by slab, in memory that does not grow with the slices.

    Minimum and maximum are exact. Percentiles and shares are exact for integers of at most 16 bits (from
    their histogram); for other types they come from a regular subsample of at most 2 million voxels, whose
    start is seeded.

    Parameters
    ----------
    volume
        Volume to look at, in memory or lazily read.
    path
        File that it came from, for `VolumeSummary.format` and messages.

    Raises
    ------
    FileError
        If `path` is not a file or folder of a known format.
    IntensityError
        If a voxel is NaN or infinite.
    """
    dtype = np.dtype(volume.data.dtype)
    narrow = dtype.kind in "iu" and dtype.itemsize <= 2
    source = str(path) if path is not None else "volume"
    statistics = _histogram_statistics(volume) if narrow else _sampled_statistics(volume, source)
    guess, reason = _guess_modality(volume, statistics.minimum)
    depth, height, width = volume.shape
    sz, sy, sx = volume.spacing
    return VolumeSummary(
        format="memory" if path is None else detect(path),
        shape=volume.shape,
        spacing=volume.spacing,
        extent_mm=(depth * sz, height * sy, width * sx),
        orientation=geometry.orientation_code(volume.direction),
        origin=volume.origin,
        direction=volume.direction,
        dtype=dtype.name,
        units=volume.units,
        modality=volume.modality,
        modality_guess=guess,
        modality_reason=reason,
        minimum=statistics.minimum,
        maximum=statistics.maximum,
        percentiles=statistics.percentiles,
        fraction_saturated=statistics.share_lowest + statistics.share_highest,
        warnings=(
            *volume.notes,
            *_lacking(path),
            *_geometry_warnings(volume.spacing),
            *_intensity_warnings(statistics, dtype, guess),
        ),
    )


def _lacking(path: Location | None) -> tuple[str, ...]:
    return () if path is None else format_of(path).lacking(path)


def _slabs(volume: Volume) -> Iterator[NDArray[Any]]:
    with stretch("reading", volume.shape[0]) as tell:
        for first, slab in slabs_of(volume.data):
            yield slab.ravel()
            tell(first + len(slab))


def _histogram_statistics(volume: Volume) -> _Statistics:
    dtype = np.dtype(volume.data.dtype).newbyteorder("=")
    bins = 1 << (8 * dtype.itemsize)
    counts = np.zeros(bins, dtype=np.int64)
    # Counting the bits as an unsigned number spares a shifted copy; negatives are the upper half of the bins.
    unsigned = np.dtype(f"u{dtype.itemsize}")
    for values in _slabs(volume):
        for start in range(0, values.size, _COUNTED_AT_ONCE):
            counts += np.bincount(values[start : start + _COUNTED_AT_ONCE].view(unsigned), minlength=bins)
    lowest = int(np.iinfo(dtype).min)
    if lowest < 0:
        counts = np.roll(counts, bins // 2)
    held = np.flatnonzero(counts)
    total = int(counts.sum())
    return _Statistics(
        minimum=float(held[0] + lowest),
        maximum=float(held[-1] + lowest),
        percentiles=_percentiles_of_counts(counts, lowest),
        share_lowest=float(counts[0] / total),
        share_highest=float(counts[-1] / total),
        share_minimum=float(counts[held[0]] / total),
    )


def _percentiles_of_counts(counts: NDArray[np.int64], lowest: int) -> dict[float, float]:
    reached = np.cumsum(counts)
    ranks = np.asarray(PERCENTS) / 100 * (reached[-1] - 1)
    below = np.floor(ranks)
    left = np.searchsorted(reached, below, side="right") + lowest
    right = np.searchsorted(reached, np.ceil(ranks), side="right") + lowest
    values = left + (ranks - below) * (right - left)
    return {percent: float(value) for percent, value in zip(PERCENTS, values, strict=True)}


def _sampled_statistics(volume: Volume, source: str) -> _Statistics:
    stride = _sampling_stride(volume.shape)
    seen = 0
    next_sample = int(np.random.default_rng(_SEED).integers(stride))
    minimum, maximum = math.inf, -math.inf
    samples: list[NDArray[Any]] = []
    for values in _slabs(volume):
        require_finite(values, source)
        minimum, maximum = min(minimum, float(values.min())), max(maximum, float(values.max()))
        samples.append(values[next_sample - seen :: stride].copy())
        seen += values.size
        next_sample += samples[-1].size * stride
    sample = np.concatenate(samples)
    dtype = sample.dtype
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    percentiles = np.percentile(sample.astype(np.float64), PERCENTS)
    return _Statistics(
        minimum=minimum,
        maximum=maximum,
        percentiles={percent: float(value) for percent, value in zip(PERCENTS, percentiles, strict=True)},
        share_lowest=float(np.mean(sample == limits.min)) if limits else 0.0,
        share_highest=float(np.mean(sample == limits.max)) if limits else 0.0,
        share_minimum=float(np.mean(sample == minimum)),
    )


def _sampling_stride(shape: tuple[int, int, int]) -> int:
    # A stride that shared a factor with the row length would visit the same few columns of every row.
    stride = max(1, -(-math.prod(shape) // _SAMPLE))
    while math.gcd(stride, shape[1] * shape[2]) > 1:
        stride += 1
    return stride


def _guess_modality(volume: Volume, minimum: float) -> tuple[Modality, str]:
    coarsest = max(volume.spacing)
    if volume.units == "HU":
        return "clinical", "the values are in HU"
    if -3100 <= minimum <= -900 and coarsest > 0.3:
        return (
            "clinical",
            f"the least value {minimum:g} suits air in HU and voxels reach {coarsest:g} mm",
        )
    if coarsest <= 0.2:
        return "micro", f"no voxel side exceeds 0.2 mm (largest {coarsest:g} mm)"
    return "unknown", f"values from {minimum:g} and voxels up to {coarsest:g} mm suit neither kind"


def _geometry_warnings(spacing: geometry.Triple) -> Iterator[str]:
    ratio = max(spacing) / min(spacing)
    listed = ", ".join(f"{value:g}" for value in spacing)
    if ratio > 3:
        yield f"voxels are {ratio:.1f} times longer in one direction than in another ({listed} mm)"
    if max(spacing) > 20 or min(spacing) < 1e-4:
        yield f"the voxel size ({listed} mm) is unlikely for CT; check its unit"


def _intensity_warnings(statistics: _Statistics, dtype: np.dtype[Any], guess: Modality) -> Iterator[str]:
    if statistics.minimum == statistics.maximum:
        yield f"every voxel is {statistics.minimum:g}"
        return
    for share, value in (
        (statistics.share_lowest, statistics.minimum),
        (statistics.share_highest, statistics.maximum),
    ):
        if share > 0.01:
            yield f"{share:.1%} of the voxels are {value:g}, a limit of {dtype.name}: clipped, or padding"
    if guess == "clinical" and statistics.minimum < -1024 and statistics.share_minimum > 0.001:
        yield (
            f"{statistics.share_minimum:.1%} of the voxels are {statistics.minimum:g}, below air (-1024): "
            "padding outside the field of view"
        )
