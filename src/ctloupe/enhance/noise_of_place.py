"""Noise that a sample begins with: a function of seed, slice, sample and place, whatever part of a scan is enhanced."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCK: Final = 32
"""Scan voxels in each direction that share a state of the generator."""


def noise_of_place(
    seed: int, index: int, sample: int, rows: tuple[int, int], columns: tuple[int, int], depth: int
) -> NDArray[np.float32]:
    """Draw standard normal noise.

    Parameters
    ----------
    seed, index, sample
        Seed of the user, index of the slice in the whole scan, and number of the sample.
    rows, columns
        Ranges of voxels in the whole scan, first and one past the last.
    depth
        Numbers for each voxel.

    Returns
    -------
    float32 array of shape (depth, rows, columns)
    """
    made = np.empty((depth, rows[1] - rows[0], columns[1] - columns[0]), np.float32)
    key = np.array([seed % (1 << 64), index], np.uint64)
    for top in range(rows[0] // BLOCK * BLOCK, rows[1], BLOCK):
        for left in range(columns[0] // BLOCK * BLOCK, columns[1], BLOCK):
            counter = np.array([0, sample, top // BLOCK, left // BLOCK], np.uint64)
            block = np.random.Generator(np.random.Philox(key=key, counter=counter))
            values = block.standard_normal((depth, BLOCK, BLOCK), np.float32)
            (y, inner_y), (x, inner_x) = _shared(top, rows), _shared(left, columns)
            made[:, y, x] = values[:, inner_y, inner_x]
    return made


def _shared(start: int, wanted: tuple[int, int]) -> tuple[slice, slice]:
    """What a block has in common with the wanted range: where in the range, and where in the block."""
    first, last = max(start, wanted[0]), min(start + BLOCK, wanted[1])
    return slice(first - wanted[0], last - wanted[0]), slice(first - start, last - start)
