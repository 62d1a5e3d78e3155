"""The slice profile: with what weight each depth counts in a clinical slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.special import erf

from ctloupe.scanner.point_spread import gaussian_taps, spread

SOFTNESS: Final = 0.1
"""Standard deviation of the edges of a slice over its thickness, unless something else is known."""

_REACH: Final = 4.0
"""Standard deviations at which the softening of the edges ends."""

_NEGLIGIBLE: Final = 1e-4
"""Weights up to this are left out, so that a slice is made of few fine ones."""


@dataclass(frozen=True)
class SliceProfile:
    """A slab of a stated thickness whose edges are softened by a Gaussian.

    Attributes
    ----------
    thickness
        Distance in mm between the depths at which the weight is half of that in the middle.
    softness
        Standard deviation of the Gaussian over the thickness.
    """

    thickness: float
    softness: float = SOFTNESS

    def weights(self, depth: int, slices: int, spacing: float) -> NDArray[np.float64]:
        """Return the weight of every fine slice in every coarse one.

        The softening takes the slab to go on beyond the ends of the volume; the slab itself ends there.

        Parameters
        ----------
        depth
            Number of fine slices, a multiple of `slices`.
        slices
            Fine slices from one coarse slice to the next.
        spacing
            Distance of the fine slices in mm.

        Returns
        -------
        array of shape (depth / slices, depth)
            Each row is non-negative and adds up to 1 but for the weights below 0.0001 that are set to zero.
        """
        centres = np.arange(depth // slices) * slices + (slices - 1) / 2
        thickness = _as_whole(self.thickness / spacing)
        shares = slab_share(np.arange(depth)[None] - centres[:, None], thickness / 2)
        sigma = self.softness * thickness
        weights = spread(shares, gaussian_taps(sigma, int(_REACH * sigma + 0.5)), 1)
        weights /= weights.sum(1, keepdims=True)
        return np.where(weights > _NEGLIGIBLE, weights, 0.0)

    def curve(self, depth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weight at depths in mm from the middle of the slice, about 1 there."""
        sigma = max(self.softness * self.thickness, 1e-9) * np.sqrt(2)
        half = self.thickness / 2
        return (erf((depth + half) / sigma) - erf((depth - half) / sigma)) / 2


def slab_share(offset: Any, half: float) -> NDArray[np.float64]:
    """Return the share of a fine slice of thickness 1 that lies in a slab.

    Parameters
    ----------
    offset
        Distance from the middle of the slab to that of the fine slice.
    half
        Half the thickness of the slab.
    """
    return np.maximum(0.0, np.minimum(np.add(offset, 0.5), half) - np.maximum(np.subtract(offset, 0.5), -half))


def averaged(planes: Any, weights: NDArray[np.float64], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Average fine slices into coarse ones; one fine slice is in memory at a time.

    Parameters
    ----------
    planes : (z, y, x)
        Array or anything that is sliced like one.
    weights : (n, z)
        See `SliceProfile.weights`; rows are divided by their sums.
    dtype
        Floating type of the result.

    Returns
    -------
    array of shape (n, y, x)
    """
    kind = np.dtype(dtype).type
    result = np.zeros((len(weights), *planes.shape[1:]), kind)
    for z in range(planes.shape[0]):
        plane = np.asarray(planes[z], dtype=kind)
        for index in np.flatnonzero(weights[:, z]):
            result[index] += kind(weights[index, z]) * plane
    # Small weights were left out; without this a constant volume would lose a fraction of a HU.
    return result / weights.sum(1)[:, None, None].astype(kind)


def averaged_adjoint(planes: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[Any]:
    """Apply the adjoint of `averaged`: ``(n, y, x)`` to ``(z, y, x)``."""
    rows = weights / weights.sum(1, keepdims=True)
    return np.tensordot(rows.T.astype(planes.dtype), planes, axes=1)


def _as_whole(value: float) -> float:
    """A quotient of lengths that differs from a whole number by no more than rounding, as that number."""
    return float(round(value)) if abs(value - round(value)) < 1e-9 * abs(value) else value
