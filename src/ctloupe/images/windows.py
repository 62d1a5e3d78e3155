"""Windows of intensity: the linear map between a scanner's values and the networks' [−1, 1]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import IntensityError, OptionError
from ctloupe.volume.slabs import extremes_of
from ctloupe.volume.volume import Volume

Values = TypeVar("Values")

Scaling = Literal["fixed", "min-max"]
"""Whether one window holds for every volume, or each has its own: from its minimum to its maximum."""

_MOST_SAMPLED = 4_000_000


@dataclass(frozen=True)
class IntensityWindow:
    """Values from `low` to `high` map linearly to [−1, 1]; values beyond are clipped.

    Raises
    ------
    OptionError
        If the bounds are not finite or `low` is not below `high`.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        try:
            low, high = float(self.low), float(self.high)
        except (TypeError, ValueError) as error:
            raise OptionError(f"intensity window: found {self.low!r} to {self.high!r}, expected two numbers") from error
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise OptionError(f"intensity window: found {low:g} to {high:g}; the low end must be below the high one")
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    def to_unit(self, values: Values) -> Values:
        """Clip `values` to the window and map it to [−1, 1].

        Parameters
        ----------
        values : NumPy array or torch tensor of any shape
            Intensities in HU or raw units.

        Returns
        -------
        float32 array or tensor of the same shape, on the same device
        """
        result: Any = _as_float32(values)
        result -= (self.low + self.high) / 2
        result *= 2 / (self.high - self.low)
        if isinstance(result, np.ndarray):
            np.clip(result, -1, 1, out=result)
        else:
            result = result.clip(-1, 1)
        return cast(Values, result)

    def from_unit(self, values: Values) -> Values:
        """Invert `to_unit` on [−1, 1], in float32; values beyond are continued linearly."""
        result = _as_float32(values)
        result *= (self.high - self.low) / 2
        result += (self.low + self.high) / 2
        return result

    @classmethod
    def from_extremes(cls, source: Volume | NDArray[Any], name: str = "volume") -> IntensityWindow:
        """Return the window from the smallest to the largest finite value of `source`: min–max scaling as a window.

        Parameters
        ----------
        source : Volume or array
            Intensities, all of them, read slab by slab.
        name
            What messages call it.

        Raises
        ------
        IntensityError
            If all values are equal, or none is finite.
        """
        low, high = source.extremes if isinstance(source, Volume) else extremes_of(source)
        if not low < high:
            found = f"every voxel has the value {low:g}" if low == high else "no voxel has a finite value"
            raise IntensityError(f"{name}: {found}, and has no range to scale by; give another volume")
        return cls(low, high)

    @classmethod
    def from_zscore(
        cls,
        source: Volume | NDArray[Any],
        deviations: float,
        mask: NDArray[np.bool_] | None = None,
        *,
        seed: int = 0,
    ) -> IntensityWindow:
        """Return the window of mean ± so many standard deviations: z-score normalisation as a window (ISBI 2021).

        Parameters
        ----------
        source, mask, seed
            Intensities, voxels that count and seed of the choice, as in `from_percentiles`.
        deviations
            Half-width of the window in standard deviations.

        Raises
        ------
        OptionError
            If `deviations` is not positive, the mask is empty, or all values are equal.
        """
        if not deviations > 0:
            raise OptionError(f"z-score window: found {deviations:g} standard deviations; expected a positive number")
        sample = _sample(source.data if isinstance(source, Volume) else source, mask, seed)
        if sample.size == 0:
            raise OptionError("z-score window: the mask holds no voxel; give another mask, or none")
        mean, spread = float(sample.mean(dtype=np.float64)), float(sample.std(dtype=np.float64))
        if spread == 0:
            raise OptionError(f"z-score window: every voxel has the value {mean:g}")
        return cls(mean - deviations * spread, mean + deviations * spread)

    @classmethod
    def from_percentiles(
        cls,
        source: Volume | NDArray[Any],
        low_pct: float,
        high_pct: float,
        mask: NDArray[np.bool_] | None = None,
        *,
        seed: int = 0,
    ) -> IntensityWindow:
        """Return the window between two percentiles of `source`, taken once.

        Parameters
        ----------
        source : Volume or array
            Intensities, read slab by slab; of a large source about four million values are drawn with `seed`.
        low_pct, high_pct
            Percentiles, 0 to 100.
        mask : bool array of the shape of `source`, optional
            Voxels that count; all of them where it is not given.

        Raises
        ------
        OptionError
            If the percentiles are out of order or range, the mask is empty or of another shape, or both
            percentiles have the same value.
        """
        if not 0 <= low_pct < high_pct <= 100:
            raise OptionError(
                f"intensity percentiles: found {low_pct:g} and {high_pct:g}; expected 0 ≤ low < high ≤ 100"
            )
        sample = _sample(source.data if isinstance(source, Volume) else source, mask, seed)
        if sample.size == 0:
            raise OptionError("intensity percentiles: the mask holds no voxel; give another mask, or none")
        low, high = np.percentile(sample, [low_pct, high_pct])
        if not low < high:
            raise OptionError(
                f"intensity percentiles: {low_pct:g} % and {high_pct:g} % of the values are both {low:g}; "
                "choose percentiles further apart, or give the window as two values"
            )
        return cls(float(low), float(high))


CLINICAL = IntensityWindow(-1000, 2500)
MICRO = IntensityWindow(0, 15000)


def _as_float32(values: Any) -> Any:
    # Both kinds of array are copied exactly once here, then changed in place; torch is not imported for this.
    if isinstance(values, np.ndarray | np.generic | list | tuple | int | float):
        return np.array(values, dtype=np.float32, ndmin=0)
    return values.float().clone() if values.is_floating_point() else values.float()


def _sample(data: Any, mask: NDArray[np.bool_] | None, seed: int) -> NDArray[Any]:
    shape = tuple(data.shape)
    if mask is not None and mask.shape != shape:
        raise OptionError(f"intensity percentiles: mask of shape {mask.shape} for values of shape {shape}")
    total = int(np.prod(shape)) if mask is None else int(np.count_nonzero(mask))
    if total == 0:
        return np.empty(0)
    rng = np.random.default_rng(seed)
    share = min(1.0, _MOST_SAMPLED / total)
    chosen: list[NDArray[Any]] = []
    for index in range(shape[0]):
        plane = np.asarray(data[index])
        values = plane.reshape(-1) if mask is None else plane[mask[index]].reshape(-1)
        if share < 1:
            values = values[rng.integers(0, values.size, round(values.size * share))] if values.size else values
        chosen.append(values)
    return np.concatenate(chosen)
