"""Parenchyma as a sponge: septa lie where the largest of three random fields changes.

The voxels in which one of three Gaussian random fields is the largest (a plurigaussian partition; Armstrong et al.,
Plurigaussian Simulations in Geosciences, 2011) form three labyrinths of air, each connected in itself as the ducts of
the lung are. Septa are curved, meet three at a line, and thin out to nothing where a fourth field is low.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctloupe.phantom.anatomies.lung_b_parts.random_fields import Shape, band_limited_pair, smooth_field

# A line through nodal surfaces of a field of wave number k crosses them k / (π √3) times a length; three pairs of
# fields share the surfaces, half of each of which lies below the third field.
_CROSSINGS_A_WAVE = 2 / np.sqrt(3) * 3 / 2
_SPREAD = 0.22
_FLATTEST = 0.3
_SLOW_MM = 6.0
_SLOW = 0.1
_THICKNESS_VARIES = 0.35
_LAYERS = 16
_SAMPLED_EVERY = 7


def sponge(
    shape: Shape, spacing: float, air_space_mm: float, share: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Share of tissue in every voxel.

    Parameters
    ----------
    shape : (z, y, x)
        Number of voxels.
    spacing
        Edge of the isotropic voxels in mm.
    air_space_mm
        Mean length of a line between septa, if none were thinned to nothing.
    share
        Mean share of tissue, 0 to 1; thickness is solved for it.
    rng
        Decides the fields.

    Returns
    -------
    float32 array of shape (z, y, x)
        Share from 0 (air) to 1 (tissue).
    """
    wavelength = air_space_mm / spacing * _CROSSINGS_A_WAVE
    fields = np.concatenate([band_limited_pair(shape, wavelength, _SPREAD, rng) for _ in range(2)])
    relative = np.clip(1 + _THICKNESS_VARIES * fields[3], 0, 2.5)
    relative *= np.clip(1 + _SLOW * smooth_field(shape, _SLOW_MM / spacing, rng), 0.6, 1.5)
    away = _distance(fields[:3], wavelength)
    return _filled(away, relative, _thickness(away, relative, share))


def _distance(fields: NDArray[np.float32], wavelength: float) -> NDArray[np.float32]:
    """Distance in voxels to the nearest septum, to first order: difference over slope of the two largest fields."""
    depth = fields.shape[1]
    away = np.empty(fields.shape[1:], dtype=np.float32)
    flattest = np.float32(_FLATTEST * np.sqrt(2 / 3) * 2 * np.pi / wavelength)
    # What central differences see of a wave of this length.
    seen = np.float32(np.sinc(2 / wavelength))
    for begin in range(0, depth, _LAYERS):
        end = min(begin + _LAYERS, depth)
        first, last = max(begin - 1, 0), min(end + 1, depth)
        slab = fields[:, first:last]
        lowest = slab.argmin(axis=0)
        found = np.empty(slab.shape[1:], dtype=np.float32)
        for out, (one, other) in enumerate(((1, 2), (0, 2), (0, 1))):
            difference = slab[one] - slab[other]
            slope = sum(np.square(part) for part in np.gradient(difference))
            slope = np.maximum(np.sqrt(slope) / seen, flattest)
            here = lowest == out
            found[here] = (np.abs(difference) / slope)[here]
        away[begin:end] = found[begin - first : end - first]
    return away


def _filled(away: NDArray[np.float32], relative: NDArray[np.float32], thickness: float) -> NDArray[np.float32]:
    """Share of a voxel filled by a flat wall: a box of one voxel slid over a box of the wall's thickness."""
    wall = relative * np.float32(thickness)
    share = (wall + 1) * np.float32(0.5)
    share -= away
    np.clip(share, 0, None, out=share)
    return np.minimum(share, np.minimum(wall, 1, out=wall), out=share)


def _thickness(away: NDArray[np.float32], relative: NDArray[np.float32], share: float) -> float:
    """Mean thickness in voxels at which septa fill `share` of the block, by bisection on every seventh voxel."""
    away, relative = away.reshape(-1)[::_SAMPLED_EVERY], relative.reshape(-1)[::_SAMPLED_EVERY]
    low, high = 0.0, 20.0
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if _filled(away, relative, middle).mean() < share else (low, middle)
    return (low + high) / 2
