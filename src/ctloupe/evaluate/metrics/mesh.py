"""A mesh: is an image stronger at the harmonics of the scan's grid than at the frequencies beside them?

Networks that enlarge by sub-pixel steps, and every pattern that is repeated from scan voxel to scan voxel, leave power
at whole multiples of one cycle a scan voxel: at (k/s, l/s) cycles a fine pixel. No anatomy prefers these frequencies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve, convolve1d

from ctloupe.evaluate.metrics.base import Accumulator, Metric
from ctloupe.evaluate.metrics.questions import TEXTURE
from ctloupe.evaluate.slices import counted_squares

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Reference, Setting

LEAST_VOXELS: Final = 8
"""Least side of a tile in scan voxels: harmonics lie as many bins apart."""

LEAST_PIXELS: Final = 64
"""Least side of a tile in fine pixels: with broader bins the frequencies beside a harmonic would lie too far away."""

TILES_PER_SLICE: Final = 64

_DISTANCE: Final = np.maximum(*np.abs(np.mgrid[-3:4, -3:4]))
BESIDE: Final = (_DISTANCE >= 2) / np.sum(_DISTANCE >= 2)
"""Weights of the frequencies beside a harmonic, 2 and 3 bins away; nearer ones belong to it, by the Hann window."""

ROUNDING_POWER: Final = 1 / 12
"""Power by pixel in HU² of rounding to whole HU: what is fainter than that is not there."""

Power = NDArray[np.float64]


def tile_side(scale: int) -> int:
    """Side in scan voxels of the tiles that power is taken of: a whole number, so that harmonics lie on bins."""
    return max(LEAST_VOXELS, -(-LEAST_PIXELS // scale))


def tile_power(tiles: NDArray[np.floating]) -> Power:
    """Mean power spectrum of square tiles, each as strong as the others.

    Of each tile the plane that fits it best is taken off and a periodic Hann window applied; its spectrum is divided by
    its variance, so that a mesh in flat tissue is not lost among the edges of other tiles.

    Parameters
    ----------
    tiles : (n, side, side)
        Values in HU.

    Returns
    -------
    (side, side)
        Mean power by bin of the Fourier transform; 1 everywhere for white noise, and for tiles without any content.
    """
    count, side, _ = tiles.shape
    along = np.arange(side) - (side - 1) / 2
    plane = np.stack([np.ones((side, side)), *np.broadcast_arrays(along[:, None], along[None])]).reshape(3, -1)
    plane /= np.linalg.norm(plane, axis=1, keepdims=True)
    flat = tiles.reshape(count, -1).astype(np.float64)
    flat = flat - (flat @ plane.T) @ plane
    periodic_hann = np.hanning(side + 1)[:-1]
    window = np.outer(periodic_hann, periodic_hann)
    spectra = np.abs(np.fft.fft2(flat.reshape(tiles.shape) * window)) ** 2 / np.sum(window**2)
    own = flat.var(axis=1)[:, None, None]
    mean: Power = np.mean((spectra + ROUNDING_POWER) / (own + ROUNDING_POWER), axis=0)
    return mean


def mesh_by_period(power: Power, scale: int) -> dict[int, float]:
    """How much stronger harmonics of the scan's grid are than the frequencies beside them, by their period.

    The harmonics (k/s, l/s) of one period, s / gcd(k, l, s) fine pixels, are taken together: those of period 2 are what
    a last sub-pixel step leaves, those of period 4 what the one before it leaves besides, those of period s what is
    repeated from voxel to voxel.

    Parameters
    ----------
    power : (side, side)
        Power spectrum of tiles of a whole number of scan voxels, from `tile_power`.
    scale
        s.

    Returns
    -------
    dict
        ``10·log₁₀`` of the mean ratio of a harmonic's power to the geometric mean of the power 2 and 3 bins away from
        it, by period in fine pixels (the divisors of s above 1); empty at scale 1. The geometric mean allows for
        spectra that fall steeply. For harmonics on an axis it is taken along the axis, since edges that are parallel to
        the grid have all their power there.
    """
    log = np.log(power)
    beside = convolve(log, BESIDE, mode="wrap")
    along = BESIDE[3] / BESIDE[3].sum()
    beside[0] = convolve1d(log[0], along, mode="wrap")
    beside[:, 0] = convolve1d(log[:, 0], along, mode="wrap")
    step = len(power) // scale
    ratio = np.exp(log - beside)[::step, ::step]
    k = np.arange(scale)
    period = scale // np.gcd(np.gcd(k[:, None], k[None]), scale)
    return {int(one): float(10 * np.log10(ratio[period == one].mean())) for one in np.unique(period) if one > 1}


class MeshOfImage(Accumulator):
    """Power of tiles inside the mask, of the slices looked at closely."""

    def __init__(self, setting: Setting) -> None:
        self._scale = setting.scale
        self._side = tile_side(setting.scale) * setting.scale
        self._power: Power = np.zeros((self._side, self._side))
        self._tiles = 0

    def add(self, seen: ImageSlice) -> None:
        """Take a slice in HU into account."""
        corners = seen.reference.once(_corners) if seen.reference.detailed else ()
        if len(corners):
            side = self._side
            tiles = np.stack([seen.plane[top : top + side, left : left + side] for top, left in corners])
            self._power = self._power + len(tiles) * tile_power(tiles)
            self._tiles += len(tiles)

    def by_period(self) -> dict[int, float]:
        """Mesh in dB by period in fine pixels; empty where no tile fitted inside the mask."""
        return mesh_by_period(self._power / self._tiles, self._scale) if self._tiles else {}

    def result(self) -> float:
        """Return the mesh of the worst period in dB; NaN where no tile fitted inside the mask."""
        return max(self.by_period().values(), default=float("nan"))


def _corners(reference: Reference) -> NDArray[np.intp]:
    """Corners on the fine grid of at most 64 evenly spread tiles wholly inside the mask."""
    mask, side = reference.coarse_inside, tile_side(reference.setting.scale)
    mask = np.ones(reference.scan.shape, bool) if mask is None else mask
    corners = np.argwhere(counted_squares(mask, side) == side * side)
    if len(corners) > TILES_PER_SLICE:
        corners = corners[np.linspace(0, len(corners) - 1, TILES_PER_SLICE).astype(int)]
    return corners * reference.setting.scale


MESH: Final = Metric(
    key="mesh_db",
    label="mesh (dB)",
    unit="dB",
    meaning="power of SR at the harmonics of the scan's grid over that at the frequencies beside them, in tiles "
    "inside the mask: the worst of the periods that divide a scan voxel; about 0 where no grid shows",
    better="near truth",
    question=TEXTURE,
    ideal=0.0,
    has_limit=True,
    where=lambda setting: setting.scale > 1,
    accumulator=MeshOfImage,
)
"""Whether a grid shows. Nothing measured is exactly 0, and so the truth's own value is the one to be near to."""
