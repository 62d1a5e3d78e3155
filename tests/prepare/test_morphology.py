"""Blocks of voxels and back."""

import numpy as np
import pytest

from ctloupe.prepare.morphology import block_edges, expanded, uneven_block_means


@pytest.mark.parametrize("from_end", [False, True])
@pytest.mark.parametrize("shape", [(1, 5, 7), (9, 12, 4), (10, 3, 11)])
def test_expanded_blocks_are_constant_and_average_to_themselves(shape, from_end):
    edges = tuple(block_edges(length, 4, from_end=from_end) for length in shape)
    blocks = np.random.default_rng(0).random([len(one) for one in edges]).astype(np.float32)
    found = expanded(blocks, edges, shape)
    at = np.ix_(
        *(np.searchsorted(one, np.arange(length), "right") - 1 for one, length in zip(edges, shape, strict=True))
    )
    assert found.shape == shape and np.array_equal(found, blocks[at])
    assert np.allclose(uneven_block_means(found, edges), blocks)


def test_expanded_planes_and_flags_keep_their_kind():
    flags = np.eye(3, dtype=bool)
    edges = block_edges(7, 3), block_edges(9, 3)
    found = expanded(flags, edges, (7, 9))
    assert found.dtype == bool and found.sum() == 9 + 9 + 3
