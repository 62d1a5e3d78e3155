"""A lowered network computes what the plain one does."""

import pytest
import torch

from ctloupe.enhance.network import fast_layers
from ctloupe.enhance.network.fast_rewrite import rewritten
from ctloupe.enhance.network.fold import folded
from small_enhancers import NAMES, small_enhancer


def noise(height, width, seed=3):
    return torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(seed)) - 0.5


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("scale", [2, 8])
@pytest.mark.parametrize("name", NAMES)
def test_in_float32_it_is_the_network(name, scale, fused, monkeypatch):
    if not fused:
        monkeypatch.setattr(fast_layers, "_FUSED", False)
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
