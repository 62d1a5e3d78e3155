"""The weight of the network at the border of a mask is a function of the place, whatever the tiles."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from scipy.spatial.distance import cdist

from ctloupe.enhance.blending import Blend
from ctloupe.enhance.exact import ExactSliceEnhancer
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.tiling import Tiling
from ctloupe.images.windows import IntensityWindow
from ctloupe.networks.tile import Tile

masks = st.builds(
    lambda height, width, seed, share: np.random.default_rng(seed).random((height, width)) < share,
    st.integers(3, 24),
    st.integers(3, 24),
    st.integers(0, 1000),
    st.sampled_from([0.0, 0.05, 0.5, 0.9, 0.99, 1.0]),
)
spacings = st.sampled_from([(0.84, 0.84), (0.5, 0.7), (3.0, 1.0)])


def whole(mask):
    return Tile((0, mask.shape[0]), (0, mask.shape[1]), *mask.shape)


def weights(blend, tile, scale):
    """Weights of a tile as an array; 1 throughout where the blend says nothing."""
    found = blend.weight(tile, scale)
    shape = (tile.y[1] - tile.y[0]) * scale, (tile.x[1] - tile.x[0]) * scale
    return np.ones(shape, np.float32) if found is None else found.numpy()


@settings(max_examples=60, deadline=None)
@given(
    mask=masks,
    spacing=spacings,
    distance=st.sampled_from([0.0, 0.3, 2.0, 7.0]),
    scale=st.sampled_from([2, 8]),
    corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_the_weights_of_a_tile_are_exactly_those_of_the_whole_slice(mask, spacing, distance, scale, corner, size):
    blend = Blend(mask, spacing, distance)
    ends = []
    for length, where, side in zip(mask.shape, corner, size, strict=True):
        first = min(int(where * length), length - 1)
        ends.append((first, min(length, first + side)))
    (top, bottom), (left, right) = ends
    part = weights(blend, Tile((top, bottom), (left, right), *mask.shape), scale)
    expected = weights(blend, whole(mask), scale)[top * scale : bottom * scale, left * scale : right * scale]
    assert np.array_equal(part, expected)


@settings(max_examples=30, deadline=None)
@given(mask=masks, spacing=spacings, distance=st.sampled_from([0.5, 2.0]))
def test_nothing_outside_the_mask_has_weight_and_what_is_deep_inside_has_all_of_it(mask, spacing, distance):
    blend = Blend(mask, spacing, distance)
    found = weights(blend, whole(mask), 4)
    assert not found[~np.kron(mask, np.ones((4, 4), bool))].any()
    assert found.min() >= 0 and found.max() <= 1
    outside = np.argwhere(~mask) * spacing
    inside = np.argwhere(mask)
    away = cdist(inside * spacing, outside).min(1) if len(outside) and len(inside) else np.full(len(inside), np.inf)
    for y, x in inside[away > distance + 2 * max(spacing)]:
        assert (found[4 * y : 4 * y + 4, 4 * x : 4 * x + 4] == 1).all()


@settings(max_examples=30, deadline=None)
@given(mask=masks, distance=st.sampled_from([0.0, 2.0]))
def test_the_network_is_wanted_wherever_it_has_weight(mask, distance):
    blend = Blend(mask, (1.0, 1.0), distance)
    used = weights(blend, whole(mask), 4).reshape(mask.shape[0], 4, mask.shape[1], 4).max((1, 3)) > 0
    assert not (used & ~blend.wanted).any()


def test_along_a_straight_border_the_weight_is_the_smooth_step_of_the_distance():
    mask = np.zeros((5, 20), bool)
    mask[:, 6:] = True
    found = Blend(mask, (0.5, 0.5), 2.0).weight(whole(mask), 8).numpy()
    millimetres = ((np.arange(160) + 0.5) / 8 - 6) * 0.5
    t = np.clip(millimetres / 2.0, 0, 1)
    assert found == pytest.approx(np.broadcast_to(t * t * (3 - 2 * t), found.shape), abs=1e-5)


def test_without_a_distance_the_weight_rises_within_half_a_voxel_as_a_hard_border_does():
    mask = np.zeros((4, 9), bool)
    mask[:, 3:] = True
    found = Blend(mask, (1.0, 1.0), 0.0).weight(whole(mask), 4).numpy()[0]
    assert not found[: 3 * 4].any() and found[3 * 4 + 2 :].all()
    assert found[3 * 4 : 3 * 4 + 2] == pytest.approx([0.25, 0.75])


def test_the_edge_of_a_slice_is_no_border():
    mask = np.ones((6, 8), bool)
    assert Blend(mask, (1.0, 1.0), 2.0).weight(whole(mask), 4) is None
    mask[:, 7] = False
    assert (Blend(mask, (1.0, 1.0), 2.0).weight(whole(mask), 4).numpy()[:, :12] == 1).all()


@pytest.mark.parametrize("distance", [1.0, 3.0])
def test_outside_of_the_mask_all_of_it_keeps_the_full_weight(distance):
    y, x = np.mgrid[:24, :24]
    mask = (y - 12) ** 2 + (x - 11) ** 2 < 30
    found = weights(Blend(mask, (0.8, 0.8), distance, outside=True), whole(mask), 4)
    assert (found[np.kron(mask, np.ones((4, 4), bool))] == 1).all()
    # It falls to 0 within the distance and the two voxels that belong to the border.
    away = distance_transform_edt(~mask, sampling=0.8) > distance + 2 * 0.8
    assert not found[np.kron(away, np.ones((4, 4), bool))].any()


def test_a_hard_border_lies_at_the_mask_on_either_side():
    mask = np.zeros((4, 9), bool)
    mask[:, 3:] = True
    inside, outside = (Blend(mask, (1.0, 1.0), 0.0, outside=one) for one in (False, True))
    assert np.array_equal(weights(inside, whole(mask), 4), weights(outside, whole(mask), 4))


class Bright(torch.nn.Module):
    """Enlarges by repeating pixels, brightened, so that tiles cannot differ by rounding."""

    def forward(self, image):
        return F.interpolate(image, scale_factor=2, mode="nearest") * 0.5 + 0.25


@settings(max_examples=25, deadline=None)
@given(mask=masks, tile=st.tuples(st.integers(3, 30), st.integers(3, 30)), outside=st.booleans())
def test_a_slice_enhanced_in_tiles_is_the_slice_enhanced_whole_to_the_byte(mask, tile, outside):
    hu = np.random.default_rng(0).normal(-700, 150, mask.shape).astype(np.float32)
    options = EnhanceOptions(precision="float32", blend=2.0, blend_outside=outside)
    model = LoadedModel("bright", Bright(), 2, IntensityWindow(-1000, 500))
    tiled, untiled = (
        ExactSliceEnhancer(model, options, (0.8, 0.8), Tiling(tile=size)).enhance(hu, mask, 0)
        for size in (tile, (1000, 1000))
    )
    assert np.array_equal(tiled.values, untiled.values)


@pytest.mark.parametrize("outside", [False, True])
def test_what_no_part_of_a_tile_covers_has_no_weight_and_the_parts_have_that_of_the_tile(outside):
    mask = np.zeros((50, 70), bool)
    mask[8:20, 5:33] = mask[30:44, 50:69] = True
    blend, tile = Blend(mask, (0.8, 0.8), 2.0, outside=outside), Tile((2, 48), (0, 70), 50, 70)
    whole, found = blend.weight(tile, 16), torch.zeros(46 * 16, 70 * 16)
    parts = list(blend.parts(tile, 16))
    for part in parts:
        weight = blend.weight(part, 16)
        rows, columns = slice((part.y[0] - 2) * 16, (part.y[1] - 2) * 16), slice(part.x[0] * 16, part.x[1] * 16)
        found[rows, columns] = 1 if weight is None else weight
    assert torch.equal(found, whole)
    assert 0 < len(parts) < 6 * 5
