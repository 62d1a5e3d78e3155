"""Foam of the lung: as dense on average as was asked for, and a little denser here than there."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ctloupe.phantom.foam import alveolar_foam, wall_voxels

_SLOW_NODE_MM = 2.5


def parenchyma(
    shape: tuple[int, int, int], spacing: float, edge: int, share: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Share of tissue in every voxel of alveolar foam.

    Parameters
    ----------
    shape : (z, y, x)
        Number of voxels.
    spacing
        Edge of the isotropic voxels in mm.
    edge
        Lattice edge of the alveoli in voxels; see `foam.cell_voxels`.
    share
        Mean share of tissue, 0 to 1.
    rng
        Decides seeds, open walls and where the foam is denser.

    Returns
    -------
    float32 array of shape (z, y, x)
        Share from 0 (air) to 1 (tissue).
    """
    field = np.clip(1 + 0.15 * _slow_field(shape, spacing, rng), 0.6, 1.5)
    return alveolar_foam(shape, edge, (_wall_for(share, edge) * field).astype(np.float32), rng)


def _slow_field(shape: tuple[int, int, int], spacing: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise of unit variance on a coarse grid, a few millimetres from node to node."""
    nodes = [max(2, math.ceil(length * spacing / _SLOW_NODE_MM)) for length in shape]
    noise = gaussian_filter(rng.normal(size=[count + 8 for count in nodes]), 1.5)
    noise /= noise.std()
    return noise[4:-4, 4:-4, 4:-4].astype(np.float32)


@cache
def _wall_for(share: float, edge: int) -> float:
    """Mean wall thickness in voxels at which walls fill `share` of space.

    The formula holds for walls much thinner than a cell and thicker than a voxel; a block of foam measured with
    its result corrects it, twice, for what partial volume and overlapping walls take away.
    """
    thickness = wall_voxels(share, edge)
    for _ in range(2):
        uniform = np.full((1, 1, 1), thickness, dtype=np.float32)
        block = alveolar_foam((10 * edge,) * 3, edge, uniform, np.random.default_rng(0))
        thickness *= share / float(block.mean())
    return thickness
