"""The networks of JMI 2022 give what their description gives, layer after layer, with the same weights."""

import pytest
import torch
import torch.nn.functional as F

from ctloupe.networks.discriminators import PatchDiscriminator
from ctloupe.networks.generators import ShrinkingGenerator, SubPixelGenerator
from ctloupe.networks.translation import TranslationGenerator

WIDTH, BLOCKS = 16, 2


class Description:
    """The layers of Fig. 3 as functions; each takes the next weights of a network, in the order of the layers."""

    def __init__(self, network):
        self.weights = [parameter.detach() for parameter in network.parameters()]

    def next(self, count):
        taken, self.weights = self.weights[:count], self.weights[count:]
        return taken

    def reflecting(self, x):
        weight, bias = self.next(2)
        rim = weight.shape[-1] // 2
        return F.conv2d(F.pad(x, (rim, rim, rim, rim), mode="reflect"), weight, bias)

    def zero_padded(self, x, stride=1, rim=1):
        return F.conv2d(x, *self.next(2), stride=stride, padding=rim)

    def transposed(self, x):
        return F.conv_transpose2d(x, *self.next(2), stride=2, padding=1, output_padding=1)

    def parametric(self, x):
        (slope,) = self.next(1)
        return torch.where(x > 0, x, slope * x)

    def residual(self, x):
        inner = normalised(self.reflecting(x)).relu()
        return x + normalised(self.reflecting(inner))

    def twice_as_large(self, x):
        wide = normalised(self.zero_padded(x))
        images, channels, height, width = wide.shape
        split = wide.reshape(images, channels // 4, 2, 2, height, width).permute(0, 1, 4, 2, 5, 3)
        return self.parametric(split.reshape(images, channels // 4, 2 * height, 2 * width))


def normalised(x):
    mean = x.mean((2, 3), keepdim=True)
    return (x - mean) / ((x - mean).square().mean((2, 3), keepdim=True) + 1e-5).sqrt()


def sub_pixel(layers, x):
    x = layers.parametric(normalised(layers.reflecting(x)))
    for _ in range(BLOCKS):
        x = layers.residual(x)
    x = layers.parametric(normalised(layers.reflecting(x)))
    for _ in range(3):
        x = layers.twice_as_large(x)
    return layers.reflecting(x).tanh()


def translating(layers, x, before, upwards, behind):
    x = normalised(layers.reflecting(x)).relu()
    for _ in range(before):
        x = normalised(layers.zero_padded(x, 2)).relu()
    for _ in range(BLOCKS):
        x = layers.residual(x)
    for _ in range(upwards):
        x = normalised(layers.transposed(x)).relu()
    for _ in range(behind):
        x = normalised(layers.zero_padded(x, 2)).relu()
    return layers.reflecting(x).tanh()


def judging(layers, x):
    x = F.leaky_relu(layers.zero_padded(x, 2), 0.2)
    for stride in (2, 2, 1):
        x = F.leaky_relu(normalised(layers.zero_padded(x, stride)), 0.2)
    return layers.zero_padded(x)


@pytest.mark.parametrize(
    ("network", "described", "side"),
    [
        (SubPixelGenerator(8, WIDTH, BLOCKS), sub_pixel, 12),
        (TranslationGenerator(WIDTH, BLOCKS, 2, 3), lambda layers, x: translating(layers, x, 2, 5, 0), 12),
        (ShrinkingGenerator(8, WIDTH, BLOCKS), lambda layers, x: translating(layers, x, 2, 2, 3), 64),
        (PatchDiscriminator(WIDTH), judging, 48),
    ],
    ids=["G1", "G1 with upblocks", "G2", "D"],
)
def test_the_output_is_that_of_the_description(network, described, side):
    network = network.double().eval()
    random = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=random, dtype=torch.float64) * 0.2
    image = torch.rand(2, 1, side, side, generator=random, dtype=torch.float64) * 2 - 1
    layers = Description(network)
    with torch.no_grad():
        expected = described(layers, image)
        torch.testing.assert_close(network(image), expected, rtol=0, atol=1e-6)
    assert not layers.weights, "the network has weights that the description does not use"
