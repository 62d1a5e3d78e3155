"""Blocks of voxels and back."""

import numpy as np
import pytest
from scipy import ndimage

from ctloupe.prepare.morphology import (
    around,
    block_edges,
    block_sums,
    closed,
    dilated,
    eroded,
    expanded,
    opened,
    uneven_block_means,
)

STEPS = (1.7, 0.6, 0.8)


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


def balls(kind, anywhere=False):
    """Random blobs in an array of unequal spacing, some of them cut by its edge; a few voxels where not `anywhere`."""
    drawn = ndimage.gaussian_filter(np.random.default_rng(kind).normal(size=(14, 26, 31)), (1, 2, 2))
    mask = drawn > np.quantile(drawn, 0.6)
    if not anywhere:
        mask[:4] = mask[:, :8] = mask[:, :, 20:] = False
    return mask


def distances(mask):
    """Distance in mm of voxels of a mask to the nearest outside, by SciPy; infinite where there is none."""
    return np.full(mask.shape, np.inf) if mask.all() else ndimage.distance_transform_edt(mask, sampling=STEPS)


@pytest.mark.parametrize("radius", [0.9, 2.3, 4.1])
@pytest.mark.parametrize(
    "mask", [balls(0), balls(1, anywhere=True), np.ones((3, 4, 5), bool), np.zeros((3, 4, 5), bool)]
)
def test_balls_grow_and_shrink_masks_as_distances_over_the_whole_array_say(mask, radius):
    grown = distances(~mask) <= radius if mask.any() else mask
    kept = distances(mask) > radius if mask.any() else mask
    assert np.array_equal(dilated(mask, radius, STEPS), grown)
    assert np.array_equal(eroded(mask, radius, STEPS), kept)
    assert np.array_equal(closed(mask, radius, STEPS), (distances(grown) > radius) | mask if mask.any() else mask)
    assert np.array_equal(opened(mask, radius, STEPS), (distances(~kept) <= radius) & mask if kept.any() else kept)


def test_the_box_around_a_mask_holds_all_within_the_margin_and_ends_with_the_array():
    mask = np.zeros((12, 20, 20), bool)
    mask[2:4, 9, 8:11] = True
    box = around(mask, 3.0, STEPS)
    assert box == (slice(0, 7), slice(3, 16), slice(3, 16))
    assert not np.delete(distances(~mask) <= 3.0, np.s_[box[1]], 1).any()


@pytest.mark.parametrize("from_end", [False, True])
@pytest.mark.parametrize("length", [12, 13, 17, 4])
def test_sums_over_blocks_are_those_of_numpy(from_end, length):
    plane = np.random.default_rng(0).integers(0, 1000, (length, 19)).astype(np.float64)
    for axis, stride in ((0, 5), (1, 4)):
        edges = block_edges(plane.shape[axis], stride, from_end=from_end)
        counts = np.diff(edges, append=plane.shape[axis])
        assert np.array_equal(block_sums(plane, edges, counts, axis), np.add.reduceat(plane, edges, axis))
