"""Networks declare that their work splits; attributes that happen to have the same names declare nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from ctloupe.enhance.network.footprint import Footprint
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.split import SplitNetwork
from ctloupe.networks.tile import PlacedLayer, Tile, placed
from small_enhancers import enhanced_slice


class VGGIdiom(nn.Module):
    """An enhancer of somebody else, with the names that torchvision and others use."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
        self.tile = (2, 2)

    def forward(self, image):
        assert self.tile == (2, 2)
        return enlarge_bicubic((image + self.features(image)).clamp(-1, 1), 2).clamp(-1, 1)

    def render(self, path):
        raise AssertionError("not what enhancing means by rendering")


class Halves(SplitNetwork):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 9, padding=4), nn.Conv2d(4, 4, 3, padding=1)

    def coarse_features(self, image):
        return self.first(image)

    def render(self, features, image):
        return nn.functional.pixel_shuffle(self.second(features), 2).clamp(-1, 1)


def enhanced(network, tile):
    hu = np.random.default_rng(0).normal(-700, 150, (40, 30)).astype(np.float32)
    return enhanced_slice(network, 2, hu, tile)


@pytest.mark.parametrize("kind", [VGGIdiom, Halves])
def test_tiles_equal_the_whole_whatever_the_attributes_of_a_network_are_called(kind):
    torch.manual_seed(0)
    network = kind().eval().requires_grad_(False)
    assert np.abs(enhanced(network, (10, 10)).astype(int) - enhanced(network, (40, 30))).max() <= 1


def test_only_a_declared_network_needs_memory_for_coarse_features():
    assert Footprint.of(VGGIdiom(), 4).coarse == 0
    assert Footprint.of(Halves(), 4).coarse == (1 + 4) * 4


def test_a_declared_network_is_what_renders_its_features():
    network, image = Halves(), torch.rand(1, 1, 12, 12)
    assert torch.equal(network(image), network.render(network.coarse_features(image), image))


def test_half_a_declaration_is_refused():
    class Half(SplitNetwork):
        def coarse_features(self, image):
            return image

    with pytest.raises(TypeError, match="render"):
        Half()


def test_only_placed_layers_are_told_where_they_are():
    network = nn.Sequential(PlacedLayer(), VGGIdiom())
    here = Tile((0, 4), (4, 8), 16, 16)
    with placed(network, here):
        assert network[0].tile == here and network[1].tile == (2, 2)
    assert network[0].tile is None
