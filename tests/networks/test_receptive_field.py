"""The computed receptive field is the one that a disturbed pixel shows."""

import pytest
import torch
from torch import nn

from ctloupe.networks.receptive_field import receptive_field_of, trace
from small_enhancers import LOCAL, small_enhancer


def shown_by_a_disturbed_pixel(network, scale, size=48):
    """How far above and below its own outputs a pixel in the middle is felt, in input pixels."""
    random = torch.Generator().manual_seed(0)
    image = (torch.rand(1, 1, size, size, generator=random) - 0.5).double()
    network = network.double()
    undisturbed = network(image)
    middle = size // 2
    felt_above = felt_below = 0
    for at in range(middle, middle + 4):
        other = image.clone()
        other[..., at, at] += 0.3
        changed = (network(other) - undisturbed).abs()[0, 0].amax(1).nonzero().flatten()
        pixels = changed // scale
        felt_above = max(felt_above, at - int(pixels.min()))
        felt_below = max(felt_below, int(pixels.max()) - at)
    # What is felt above a pixel is what pixels above look down at.
    return felt_below, felt_above


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 8])
@pytest.mark.parametrize("name", LOCAL)
def test_the_traced_reach_covers_what_is_felt_and_hardly_more(name, scale):
    network = small_enhancer(name, scale)
    if name == "esrgan":
        # Its blocks begin so faint that their rim is lost to rounding.
        for parameter in network.trunk.parameters():
            parameter.mul_(8)
    reach = receptive_field_of(network)
    before, after = shown_by_a_disturbed_pixel(network, scale)
    assert not reach.everything
    assert before <= reach.before <= before + 3
    assert after <= reach.after <= after + 3


@pytest.mark.parametrize(("name", "operation"), [("pseudo-sr", "mean"), ("lanczos", "reshape")])
def test_a_network_with_operations_over_the_image_says_which(name, operation):
    assert operation in receptive_field_of(small_enhancer(name, 4)).everything


def test_instance_normalisation_looks_at_everything_until_it_is_calibrated():
    assert "instance_norm" in receptive_field_of(small_enhancer("sr-cyclegan", 4, fixed=False)).everything
    assert not receptive_field_of(small_enhancer("sr-cyclegan", 4)).everything


def test_an_unknown_operation_counts_as_one_that_looks_at_everything():
    class Odd(nn.Module):
        def forward(self, image):
            return torch.cumsum(image, -1)

    assert receptive_field_of(Odd()).everything == ("cumsum",)


@pytest.mark.parametrize(("kernel", "dilation", "expected"), [(3, 1, 1), (7, 1, 3), (3, 2, 2), (1, 1, 0)])
def test_a_convolution_reaches_half_its_kernel(kernel, dilation, expected):
    layer = nn.Conv2d(1, 1, kernel, padding=dilation * (kernel // 2), dilation=dilation)
    reach = receptive_field_of(layer)
    assert (reach.before, reach.after, reach.multiple) == (expected, expected, 1)


def test_strides_demand_cuts_at_their_multiples():
    layers = nn.Sequential(
        nn.Conv2d(1, 1, 3, 2, 1), nn.Conv2d(1, 1, 3, 2, 1), nn.Upsample(scale_factor=4, mode="nearest")
    )
    assert trace(layers, torch.zeros(1, 1, 32, 32)).multiple == 4
