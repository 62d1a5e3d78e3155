"""A lowered network computes what the plain one does."""

from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctloupe.enhance.network import fast_layers, fine_part, fused
from ctloupe.enhance.network.fast_rewrite import rewritten
from ctloupe.enhance.network.fine_part import FineStrips
from ctloupe.enhance.network.fold import folded
from ctloupe.networks.blocks import SubPixelStep, convolution
from ctloupe.networks.plain import PlainBlock
from ctloupe.networks.tile import Tile
from small_enhancers import NAMES, small_enhancer


def noise(height, width, seed=3):
    return torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(seed)) - 0.5


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("scale", [2, 8])
@pytest.mark.parametrize("name", NAMES)
def test_in_float32_it_is_the_network(name, scale, private, monkeypatch):
    if not private:
        monkeypatch.setattr(fused, "FORMATS", frozenset())
    network = folded(small_enhancer(name, scale))
    fast = rewritten(network, torch.float32)
    for height, width in ((21, 34), (8, 9)):
        image = noise(height, width)
        assert (fast(image) - network(image)).abs().max() < 2e-5


@pytest.mark.parametrize("name", NAMES)
def test_in_half_precision_it_is_near(name):
    network = folded(small_enhancer(name, 4))
    image = noise(24, 24)
    assert (rewritten(network)(image).float() - network(image)).square().mean().sqrt() < 0.02


def test_strips_of_rows_change_nothing(monkeypatch):
    network = folded(small_enhancer("sr-cyclegan", 2))
    image = noise(90, 17)
    whole = rewritten(network, torch.float32)(image)
    monkeypatch.setattr(fast_layers, "STRIP_BYTES", 1)
    monkeypatch.setattr(fast_layers, "COMPILED_STRIP_BYTES", 1)
    monkeypatch.setattr(fine_part, "STRIP_BYTES", 1)
    assert (rewritten(network, torch.float32)(image) - whole).abs().max() < 1e-5


def test_the_image_is_not_rounded_to_half_precision():
    network = folded(small_enhancer("sr-cyclegan", 2))
    layer = rewritten(network).head[0]
    # Two images that half precision cannot tell apart.
    low = torch.full((1, 1, 12, 12), -0.9)
    high = low + 5e-4
    assert torch.equal(low.bfloat16(), high.bfloat16())
    wanted = network.head(high) - network.head(low)
    assert (layer(high).float() - layer(low).float() - wanted).abs().max() < 0.5 * wanted.abs().max() + 0.02


def test_the_networks_input_is_left_as_it_was():
    image = noise(70, 20)
    kept = image.clone()
    rewritten(folded(small_enhancer("srgan", 2)))(image)
    assert torch.equal(image, kept)


def test_three_rounded_parts_of_the_last_convolution_are_the_whole():
    steps = [SubPixelStep(width, normalised=False).eval() for width in (8, 4)]
    last = convolution(2, 1, 7, padding="reflect")
    # Kept in half precision and computed with in float32, so that nothing but the kernels is split.
    layer = FineStrips(steps, last, torch.bfloat16).float()
    features = torch.rand(2, 8, 9, 11, generator=torch.Generator().manual_seed(0)) - 0.5
    plain = torch.nn.Sequential(*steps)
    for step, kept in zip(steps, layer.steps, strict=True):
        order = torch.arange(len(step.convolution.weight)).view(-1, 4).t().flatten()
        step.convolution.weight.data[order] = kept.weight.contiguous()
    assert (layer(features) - last(plain(features))).abs().max() < 2e-5


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    kernel=st.sampled_from([1, 3, 5, 7, 9]),
    steps=st.integers(1, 3),
    channels=st.sampled_from([8, 64]),
    reflects=st.booleans(),
    strip=st.sampled_from([1, 1 << 30]),
)
@settings(max_examples=60, deadline=None)
def test_strips_of_the_fine_part_are_its_layers_for_any_size(height, width, kernel, steps, channels, reflects, strip):
    if reflects and kernel // 2 >= 2**steps * min(height, width):
        return  # Nothing can be reflected so far.
    torch.manual_seed(height + 10 * width)
    layers = [SubPixelStep(channels >> step, normalised=False).eval() for step in range(steps)]
    last = convolution(channels >> steps, 1, kernel, padding="reflect" if reflects else "zeros")
    features = torch.randn(1, channels, height, width)
    with mock.patch.object(fine_part, "STRIP_BYTES", strip), torch.no_grad():
        found = FineStrips(layers, last, torch.float32)(features)
        assert (found - last(torch.nn.Sequential(*layers)(features))).abs().max() < 2e-5


@given(
    rows=st.tuples(st.integers(0, 9), st.integers(1, 7), st.integers(0, 9)),
    columns=st.tuples(st.integers(0, 9), st.integers(1, 7), st.integers(0, 9)),
    kernel=st.sampled_from([1, 3, 7, 9]),
    steps=st.integers(1, 3),
    channels=st.sampled_from([8, 24, 64]),
    reflects=st.booleans(),
    strip=st.sampled_from([1, 1 << 30]),
)
@settings(max_examples=60, deadline=None)
def test_strips_of_a_tile_are_those_of_the_image_as_far_as_its_cuts_are_not_seen(
    rows, columns, kernel, steps, channels, reflects, strip
):
    scale = 2**steps
    # A pixel of each step's grid, and half the last kernel, on the first grid.
    halo = -(-(sum(scale >> step for step in range(steps)) + kernel // 2) // scale)
    height, width = sum(rows), sum(columns)
    if reflects and kernel // 2 >= scale * min(height, width):
        return  # Nothing can be reflected so far.
    torch.manual_seed(0)
    layers = [SubPixelStep(channels >> step, normalised=False).eval() for step in range(steps)]
    last = convolution(channels >> steps, 1, kernel, padding="reflect" if reflects else "zeros")
    features = torch.randn(1, channels, height, width)
    top, left = max(0, rows[0] - halo), max(0, columns[0] - halo)
    bottom, right = min(height, sum(rows[:2]) + halo), min(width, sum(columns[:2]) + halo)
    with mock.patch.object(fine_part, "STRIP_BYTES", strip), torch.no_grad():
        layer = FineStrips(layers, last, torch.float32)
        layer.tile = Tile((top, bottom), (left, right), height, width)
        found = layer(features[:, :, top:bottom, left:right])
        whole = last(torch.nn.Sequential(*layers)(features))
    assert found.isfinite().all()
    own = [slice(scale * one[0], scale * sum(one[:2])) for one in (rows, columns)]
    within = [
        slice(one.start - scale * from_, one.stop - scale * from_) for one, from_ in zip(own, (top, left), strict=True)
    ]
    assert (found[..., within[0], within[1]] - whole[..., own[0], own[1]]).abs().max() < 2e-5


@pytest.mark.parametrize("channels", [6, 32])
@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_a_convolution_before_a_shuffle_writes_sub_pixels(channels, padding):
    torch.manual_seed(0)
    layers = torch.nn.Sequential(convolution(channels, 4 * channels, 3, padding=padding), torch.nn.PixelShuffle(2))
    features = torch.randn(2, channels, 7, 11)
    fast = rewritten(layers.eval(), torch.float32)
    assert [type(layer).__name__ for layer in fast] == ["FastStep", "Identity"]
    torch.testing.assert_close(fast(features), layers(features), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("height", [1, 15, 16, 17, 33, 64])
def test_a_residual_block_in_strips_is_the_block(height, in_place, monkeypatch):
    monkeypatch.setattr(fast_layers, "COMPILED_STRIP_BYTES", 1)
    block = PlainBlock(16, 0.5).eval().requires_grad_(False)
    given = torch.randn(2, 16, height, 9).contiguous(memory_format=torch.channels_last)
    features = given.clone(memory_format=torch.channels_last)
    fast = rewritten(block, torch.float32)
    fast.in_place = in_place
    torch.testing.assert_close(fast(features), block(given), atol=1e-5, rtol=1e-5)
    assert in_place or torch.equal(features, given)
