"""A folded network is the network."""

import pytest
import torch
from torch import nn

from ctloupe.enhance.network.calibrate import FixedNorm
from ctloupe.enhance.network.fold import folded
from small_enhancers import NAMES, small_enhancer


@pytest.mark.parametrize("scale", [2, 8])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "lanczos"])
def test_folding_changes_nothing_to_nine_digits(name, scale):
    network = small_enhancer(name, scale).double()
    image = (torch.rand(1, 1, 13, 18, generator=torch.Generator().manual_seed(2)) - 0.5).double()
    assert (folded(network)(image) - network(image)).abs().max() < 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_no_normalisation_is_left_and_the_original_is_untouched(name):
    network = small_enhancer(name, 4)
    before = [type(layer) for layer in network.modules()]
    made = folded(network)
    assert not [layer for layer in made.modules() if isinstance(layer, FixedNorm | nn.BatchNorm2d)]
    assert [type(layer) for layer in network.modules()] == before


def test_batch_norm_with_and_without_parameters_is_folded_too():
    torch.manual_seed(0)
    for affine in (True, False):
        norm = nn.BatchNorm2d(3, affine=affine)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        network = nn.Sequential(nn.ConvTranspose2d(2, 3, 3, bias=False), norm).double().eval()
        image = torch.randn(1, 2, 5, 6).double()
        assert (folded(network)(image) - network(image)).abs().max() < 1e-12
