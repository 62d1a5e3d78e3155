"""Interlobular septa: thin, gently curved walls between secondary lobules."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

# Voxels between the points of the first, coarse search.
_STRIDE = 4
_WAVES = 4


class Septa:
    """Walls of a Voronoi tessellation in a bent space.

    Parameters
    ----------
    low, high : (z, y, x) in mm
        Corners of the box that the lobules fill.
    diameter
        Diameter of a lobule in mm.
    thickness
        Thickness of the septa in mm.
    rng
        Decides seeds, bending and which septa are absent.
    missing
        Share of the septa that is left out, since human septa are incomplete.
    """

    def __init__(
        self,
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        diameter: float,
        thickness: float,
        rng: np.random.Generator,
        missing: float = 0.3,
    ) -> None:
        self.thickness = thickness
        self._missing = missing
        counts = np.ceil((high - low) / diameter).astype(int) + 3
        lattice = np.array(list(product(*(range(count) for count in counts))), dtype=np.float64)
        offset = low - diameter * (1 + rng.random(3))
        self._seeds = offset + (lattice + rng.uniform(0.1, 0.9, size=lattice.shape)) * diameter
        self._mark = rng.random(len(self._seeds))
        self._tree = cKDTree(self._seeds)
        waves = rng.normal(size=(_WAVES, 3))
        waves /= np.linalg.norm(waves, axis=1, keepdims=True)
        self._waves = waves * (2 * np.pi / (diameter * rng.uniform(0.5, 1.2, size=(_WAVES, 1))))
        self._phases = rng.uniform(0, 2 * np.pi, size=_WAVES)
        self._sway = rng.normal(size=(_WAVES, 3)) * 0.035 * diameter

    def distance(self, points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Distance in mm of `points` (n, 3) to the nearest septum's surface, and whether that septum exists."""
        signed, _, present = self._wall(points)
        return np.abs(signed), present

    def nearest(self, point: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
        """The point moved on to the nearest septum when one exists within `reach` mm."""
        signed, normal, present = self._wall(point[None])
        if not present[0] or abs(signed[0]) > reach:
            return point
        return point + signed[0] * normal[0]

    def coverage(self, shape: tuple[int, int, int], spacing: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Flat indices of the voxels that septa touch, and the share of each that they fill.

        Only voxels near a wall in a coarse search are looked at closely.
        """
        coarse = tuple(-(-length // _STRIDE) for length in shape)
        centres = np.indices(coarse, dtype=np.float32).reshape(3, -1).T * _STRIDE + (_STRIDE - 1) / 2
        far, _ = self.distance(centres * spacing)
        reach = (self.thickness + spacing) / 2 + 1.3 * np.sqrt(3) * _STRIDE / 2 * spacing
        near = (far < reach).reshape(coarse)
        for axis in range(3):
            near = near.repeat(_STRIDE, axis=axis)
        flat = np.flatnonzero(near[: shape[0], : shape[1], : shape[2]])
        share = np.zeros(flat.size, dtype=np.float32)
        for begin in range(0, flat.size, 1 << 20):
            part = slice(begin, begin + (1 << 20))
            points = np.stack(np.unravel_index(flat[part], shape), axis=1).astype(np.float32) * spacing
            away, present = self.distance(points)
            filled = np.clip((self.thickness + spacing) / 2 - away, 0, min(self.thickness, spacing)) / spacing
            share[part] = filled * present
        kept = share > 0
        return flat[kept], share[kept]

    def _wall(self, points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        bent = points + np.sin(points @ self._waves.T + self._phases) @ self._sway
        away, pair = self._tree.query(bent, k=2, workers=-1)
        between = self._seeds[pair[:, 1]] - self._seeds[pair[:, 0]]
        apart = np.linalg.norm(between, axis=1)
        signed = (away[:, 1] ** 2 - away[:, 0] ** 2) / (2 * apart)
        present = self._mark[pair].sum(axis=1) % 1.0 >= self._missing
        return signed, between / apart[:, None], present
