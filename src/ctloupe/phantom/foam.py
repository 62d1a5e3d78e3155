"""Alveolar foam: the walls of a Voronoi tessellation, sampled with partial volume.

Seeds lie one to a cube of a lattice, moved at random inside it (Worley's cellular noise), so that the two
nearest seeds of a voxel are found among 27 cubes without a search structure.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Wall area per volume of a Poisson-Voronoi tessellation is 2.910 n^(1/3) for n seeds per volume
# (Okabe et al., Spatial Tessellations, 2000, table 5.5.2).
WALL_AREA = 2.910
# Diameter of the sphere of one cell's mean volume is this times n^(-1/3).
SPHERE_DIAMETER = (6 / math.pi) ** (1 / 3)
# Share of walls left out: alveoli open into ducts and sacs, which makes air spaces of several cells.
OPEN_SHARE = 0.38
# Seeds keep this far from the cube's faces (share of its edge), which bounds the search to 27 cubes.
_MARGIN = 0.08
_NEIGHBOURS = tuple(product((-1, 0, 1), repeat=3))


def cell_voxels(diameter: float, spacing: float) -> int:
    """Lattice edge in voxels whose mean alveolar diameter comes nearest to `diameter` (mm), at least 2."""
    return max(2, round(diameter / SPHERE_DIAMETER / spacing))


def alveolar_diameter(edge: int, spacing: float) -> float:
    """Mean alveolar diameter in mm, (6 / (π n))^(1/3), of one seed per cube of `edge` voxels."""
    return SPHERE_DIAMETER * edge * spacing


def wall_voxels(tissue: float, edge: int) -> float:
    """Mean wall thickness in voxels at which walls fill the share `tissue` of space."""
    return tissue * edge / (WALL_AREA * (1 - OPEN_SHARE))


def alveolar_foam(
    shape: tuple[int, int, int], edge: int, thickness: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Share of tissue in every voxel of the foam.

    Parameters
    ----------
    shape : (z, y, x)
        Number of voxels.
    edge
        Edge of the lattice in voxels, from `cell_voxels`.
    thickness : float32 array of shape (z, y, x), of any grid
        Local mean thickness of the walls in voxels; a coarser grid is enlarged by linear interpolation.
    rng
        Decides the seeds and which walls are open.

    Returns
    -------
    float32 array of shape (z, y, x)
        Share from 0 (air) to 1 (tissue).
    """
    cubes = tuple(-(-length // edge) for length in shape)
    padded = tuple(count + 2 for count in cubes)
    inside = rng.uniform(_MARGIN, 1 - _MARGIN, size=(3, *padded)).astype(np.float32) * edge - 0.5
    seeds = torch.from_numpy(inside)
    mark = torch.from_numpy(rng.random(padded, dtype=np.float32))
    field = torch.from_numpy(np.ascontiguousarray(thickness, dtype=np.float32))[None, None]
    out = np.empty(shape, dtype=np.float32)
    for layer in range(cubes[0]):
        begin, end = layer * edge, min((layer + 1) * edge, shape[0])
        local = _thickness_layer(field, shape, begin, end)
        distance, pair = _nearest_wall(seeds[:, layer : layer + 3], mark[layer : layer + 3], edge)
        distance = distance[: end - begin, : shape[1], : shape[2]]
        pair = pair[: end - begin, : shape[1], : shape[2]]
        out[begin:end] = _coverage(distance, pair, local).numpy()
    return out


def _thickness_layer(field: Tensor, shape: tuple[int, int, int], begin: int, end: int) -> Tensor:
    nodes = field.shape[2]
    at = (torch.arange(begin, end, dtype=torch.float32) + 0.5) / shape[0] * nodes - 0.5
    at = at.clamp(0, nodes - 1)
    low = at.floor().long()
    high = (low + 1).clamp(max=nodes - 1)
    part = (at - low)[:, None, None]
    planes = field[0, 0, low] * (1 - part) + field[0, 0, high] * part
    return torch.nn.functional.interpolate(planes[:, None], size=shape[1:], mode="bilinear")[:, 0]


def _nearest_wall(seeds: Tensor, mark: Tensor, edge: int) -> tuple[Tensor, Tensor]:
    """Distance (voxels) to the wall between the two nearest seeds, and a number in [0, 1) that names the pair.

    `seeds` (3, 3, y + 2, x + 2) and `mark` (3, y + 2, x + 2) are three layers of cubes; the middle one is sampled.
    """
    first, second = _two_nearest(seeds, edge)
    rows, columns = seeds.shape[2], seeds.shape[3]
    step = torch.tensor([(oz + 1) * rows * columns + oy * columns + ox for oz, oy, ox in _NEIGHBOURS])
    base = (torch.arange(1, rows - 1)[:, None] * columns + torch.arange(1, columns - 1)).to(torch.int32)
    shift = torch.tensor(_NEIGHBOURS, dtype=torch.float32).T * edge
    place, number = [], []
    for key in (first, second):
        which = key.bitwise_and_(31)
        index = torch.take(step.to(torch.int32), which.long()).add_(base).long()
        place.append([torch.take(seeds[axis], index) + torch.take(shift[axis], which.long()) for axis in range(3)])
        number.append(torch.take(mark, index))
    apart = sum((a - b).square_() for a, b in zip(*place, strict=True))
    local = torch.arange(edge, dtype=torch.float32)
    grids = (local.view(-1, 1, 1, 1, 1), local.view(1, -1, 1, 1, 1), local.view(1, 1, -1, 1, 1))
    # The bisector's distance is (p2 - p1) . (midpoint - v) / |p2 - p1|.
    along = sum((b - a).mul_((a + b).mul_(0.5).sub_(grid)) for a, b, grid in zip(*place, grids, strict=True))
    assert isinstance(apart, Tensor) and isinstance(along, Tensor)
    distance = along.abs_().div_(apart.sqrt_().clamp_(min=1e-3))
    return _to_image(distance), _to_image(number[0].add_(number[1]).remainder_(1.0))


def _two_nearest(seeds: Tensor, edge: int) -> tuple[Tensor, Tensor]:
    """Squared distances to the nearest and second nearest seed, their neighbour number in the low five bits.

    Positive floats order like their bit patterns, so distance and number travel together in one int32 and
    minimum and maximum do the sorting. Axes are (z in cube, y in cube, x in cube, cube row, cube column).
    """
    rows, columns = seeds.shape[2] - 2, seeds.shape[3] - 2
    local = torch.arange(edge, dtype=torch.float32)
    size = (edge, edge, edge, rows, columns)
    first = torch.full(size, 2**31 - 1, dtype=torch.int32)
    second = first.clone()
    squared = torch.empty(size)
    larger = torch.empty(size, dtype=torch.int32)
    for number, (oz, oy, ox) in enumerate(_NEIGHBOURS):
        z, y, x = (
            seeds[axis, 1 + oz, 1 + oy : 1 + oy + rows, 1 + ox : 1 + ox + columns] + offset * edge
            for axis, offset in enumerate((oz, oy, ox))
        )
        dz = (local.view(-1, 1, 1, 1, 1) - z).square_()
        dy = (local.view(1, -1, 1, 1, 1) - y).square_()
        dx = (local.view(1, 1, -1, 1, 1) - x).square_()
        torch.add(dz + dy, dx, out=squared)
        key = squared.view(torch.int32).bitwise_and_(-32).bitwise_or_(number)
        torch.maximum(first, key, out=larger)
        torch.minimum(second, larger, out=second)
        torch.minimum(first, key, out=first)
    return first, second


def _to_image(values: Tensor) -> Tensor:
    edge, rows, columns = values.shape[0], values.shape[3], values.shape[4]
    return values.permute(0, 3, 1, 4, 2).reshape(edge, rows * edge, columns * edge)


def _coverage(distance: Tensor, pair: Tensor, thickness: Tensor) -> Tensor:
    """Share of a voxel filled by a flat wall: a box of one voxel slid over a box of the wall's thickness."""
    spread = pair.sub(OPEN_SHARE).div_(1 - OPEN_SHARE)
    wall = thickness * (0.6 + 0.8 * spread) * (spread > 0)
    share = ((wall + 1) * 0.5).sub_(distance).clamp_(min=0)
    return torch.minimum(share, wall.clamp_(max=1.0))
