"""The quicker layers against PyTorch's own in float64: outputs, gradients, and gradients of gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from ctloupe.networks.blocks import ResidualBlock, downblock, upblock
from ctloupe.networks.discriminators import PatchDiscriminator
from ctloupe.networks.generators import ShrinkingGenerator, SubPixelGenerator
from ctloupe.networks.training import rewrite, strided, winograd
from ctloupe.networks.training.rewrite import quicken


@pytest.fixture(autouse=True)
def small_layers_are_quickened_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise these would be left to PyTorch."""
    monkeypatch.setattr(rewrite, "_LARGE", 1)
    for kind in (winograd, strided):
        monkeypatch.setattr(kind, "FEWEST_TILES", 1)


LAYERS = {
    "3x3 with many channels, zeros": (nn.Conv2d(64, 72, 3, padding=1), (2, 64, 13, 10)),
    "3x3 with many channels, reflected": (nn.Conv2d(72, 64, 3, padding=1, padding_mode="reflect"), (2, 72, 8, 9)),
    "3x3 without padding": (nn.Conv2d(64, 64, 3), (1, 64, 7, 9)),
    "4x4 with many channels": (nn.Conv2d(64, 64, 4, padding=1), (3, 64, 9, 12)),
    "one pixel at each border": (nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"), (1, 64, 2, 2)),
    "4x4 without padding": (nn.Conv2d(64, 64, 4), (1, 64, 8, 7)),
    "2x2 with padding": (nn.Conv2d(64, 80, 2, padding=1), (2, 64, 8, 7)),
    "4x4, reflected by two": (nn.Conv2d(64, 64, 4, padding=2, padding_mode="reflect"), (1, 64, 6, 5)),
    "without bias": (nn.Conv2d(64, 64, 3, padding=1, bias=False), (1, 64, 6, 6)),
    "7x7 of one channel, reflected": (nn.Conv2d(1, 5, 7, padding=3, padding_mode="reflect"), (2, 1, 9, 12)),
    "7x7 to one channel": (nn.Conv2d(5, 1, 7, padding=3), (2, 5, 9, 7)),
    "stride 2": (nn.Conv2d(6, 8, 3, stride=2, padding=1), (2, 6, 11, 8)),
    "4x4 of stride 2": (nn.Conv2d(6, 8, 4, stride=2, padding=1), (2, 6, 12, 9)),
    "4x4 of stride 2, many channels": (nn.Conv2d(8, 16, 4, stride=2, padding=1), (2, 8, 12, 9)),
    "4x4 of stride 2, padded by two": (nn.Conv2d(16, 24, 4, stride=2, padding=2), (1, 16, 23, 14)),
    "1x1": (nn.Conv2d(6, 8, 1), (2, 6, 5, 4)),
    "transposed": (nn.ConvTranspose2d(8, 6, 3, 2, 1, 1), (2, 8, 5, 6)),
    "grouped": (nn.Conv2d(6, 6, 3, padding=1, groups=3), (2, 6, 5, 6)),
    "dilated": (nn.Conv2d(64, 64, 3, padding=2, dilation=2), (1, 64, 7, 7)),
    "norm, many channels": (nn.Sequential(nn.InstanceNorm2d(72), nn.PReLU()), (2, 72, 17, 5)),
    "norm and ReLU, many channels": (nn.Sequential(nn.InstanceNorm2d(16), nn.ReLU(inplace=True)), (3, 16, 70, 30)),
    "norm and LeakyReLU, many channels": (
        nn.Sequential(nn.InstanceNorm2d(40), nn.LeakyReLU(0.2, inplace=True)),
        (2, 40, 1, 3),
    ),
    "norm": (nn.Sequential(nn.InstanceNorm2d(6), nn.PReLU()), (2, 6, 7, 5)),
    "norm and ReLU": (nn.Sequential(nn.InstanceNorm2d(6), nn.ReLU(inplace=True)), (3, 6, 7, 5)),
    "norm and LeakyReLU": (nn.Sequential(nn.InstanceNorm2d(6), nn.LeakyReLU(0.2, inplace=True)), (3, 6, 4, 5)),
    "PReLU": (nn.PReLU(), (2, 6, 7, 5)),
    "PReLU of a negative slope": (nn.PReLU(init=-0.3), (2, 6, 7, 5)),
    "PReLU of a slope for each channel": (nn.PReLU(6), (2, 6, 7, 5)),
    "7x7 of one channel to many": (nn.Conv2d(1, 64, 7, padding=3, padding_mode="reflect"), (2, 1, 9, 12)),
    "4x4 of one channel, stride 2": (nn.Conv2d(1, 16, 4, stride=2, padding=1), (2, 1, 9, 12)),
    "norm with weights": (nn.Sequential(nn.InstanceNorm2d(6, affine=True), nn.ReLU()), (2, 6, 7, 5)),
    "residual block": (ResidualBlock(64), (2, 64, 8, 6)),
    "down and up": (nn.Sequential(downblock(4, 6), upblock(6, 4)), (2, 4, 8, 6)),
}


def _differentiated(network: nn.Module, image: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The output, and gradients of a weighted sum of it by image and weights."""
    seen = image.clone().requires_grad_()
    out = network(seen)
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).sin().view(out.shape)
    return out, list(torch.autograd.grad((out * weights).sum(), [seen, *network.parameters()]))


def _assert_alike(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    # The bias before a norm has no gradient but rounding, which is measured by that of the others.
    largest = max(float(one.detach().norm()) for one in expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.shape == theirs.shape
        assert float((mine.double() - theirs).detach().norm()) <= tolerance * max(
            float(theirs.detach().norm()), 0.1 * largest
        )


@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients_are_those_of_plain_layers(name: str) -> None:
    layer, shape = LAYERS[name]
    quick, exact = copy.deepcopy(layer), copy.deepcopy(layer).double()
    quicken(quick)
    image = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    out, gradients = _differentiated(quick, image)
    expected, theirs = _differentiated(exact, image.double())
    assert out.dtype is torch.float32
    _assert_alike([out, *gradients], [expected, *theirs], 1e-4)


@pytest.mark.parametrize("name", ["3x3 with many channels, reflected", "4x4 of stride 2", "transposed"])
def test_channels_last_features_give_the_same(name: str) -> None:
    layer, shape = LAYERS[name]
    quick = copy.deepcopy(layer)
    quicken(quick)
    image = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    last = image.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(_differentiated(quick, last), _differentiated(quick, image), rtol=0, atol=0)


@pytest.mark.parametrize(
    "name",
    [
        "3x3 with many channels, reflected",
        "3x3 with many channels, zeros",
        "2x2 with padding",
        "4x4 of stride 2",
        "4x4 of stride 2, many channels",
        "4x4 of stride 2, padded by two",
        "transposed",
        "PReLU",
        "norm and ReLU",
        "norm and ReLU, many channels",
    ],
)
def test_gradients_can_be_differentiated(name: str) -> None:
    layer, shape = LAYERS[name]
    quick, exact = copy.deepcopy(layer), copy.deepcopy(layer).double()
    quicken(quick)
    image = torch.randn(shape, generator=torch.Generator().manual_seed(1))

    def penalty(network: nn.Module, seen: Tensor) -> list[Tensor]:
        seen = seen.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(network(seen).square().sum(), seen, create_graph=True)
        of = torch.autograd.grad(gradient.square().sum(), [seen, *network.parameters()], allow_unused=True)
        return [one for one in of if one is not None]

    _assert_alike(penalty(quick, image), penalty(exact, image.double()), 1e-4)


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (partial(SubPixelGenerator, 2, 64, 1), 12),
        (partial(ShrinkingGenerator, 2, 16, 1), 24),
        (partial(PatchDiscriminator, 16, 2), 24),
    ],
)
def test_a_whole_network_computes_the_same_and_keeps_its_names(make: Callable[[], nn.Module], size: int) -> None:
    # Weights by which no activation lies so near its kink that rounding takes it to the other side.
    torch.manual_seed(0)
    network = make()
    quick, exact = copy.deepcopy(network), copy.deepcopy(network).double()
    quicken(quick)
    image = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(2)) * 2 - 1
    out, gradients = _differentiated(quick, image)
    expected, theirs = _differentiated(exact, image.double())
    # Rounding grows through a deep network; it may be that of PyTorch's own float32 times a few.
    plain_out, plain_gradients = _differentiated(network, image)
    largest = max(float(one.detach().norm()) for one in theirs)
    for mine, plain, true in zip([out, *gradients], [plain_out, *plain_gradients], [expected, *theirs], strict=True):
        off, usual = (float((one.double() - true).detach().norm()) for one in (mine, plain))
        assert off <= 10 * usual + 1e-5 * max(float(true.detach().norm()), largest)
    assert quick.state_dict().keys() == network.state_dict().keys()
    for mine, its in zip(quick.modules(), network.modules(), strict=True):
        assert isinstance(mine, type(its))


def test_changed_weights_are_seen() -> None:
    layer = nn.Conv2d(64, 64, 3, padding=1)
    image = torch.randn(1, 64, 6, 6)
    quick = copy.deepcopy(layer)
    quicken(quick)
    quick(image)
    with torch.no_grad():
        layer.weight.mul_(2)
        quick.weight.mul_(2)
    torch.testing.assert_close(quick(image), layer(image), rtol=1e-4, atol=1e-4)
    layer.load_state_dict({name: -value for name, value in layer.state_dict().items()})
    quick.load_state_dict(layer.state_dict())
    torch.testing.assert_close(quick(image), layer(image), rtol=1e-4, atol=1e-4)


def test_half_precision_and_autocast_take_pytorchs_own_way() -> None:
    block = ResidualBlock(64)
    quick = copy.deepcopy(block)
    quicken(quick)
    image = torch.randn(1, 64, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(quick(image), block(image), rtol=0, atol=0)


def test_a_quickened_network_can_be_copied() -> None:
    quick = SubPixelGenerator(2, 64, 1)
    quicken(quick)
    image = torch.randn(1, 1, 8, 8)
    torch.testing.assert_close(copy.deepcopy(quick)(image), quick(image), rtol=0, atol=0)


@pytest.mark.parametrize("how", [{}, {"foreach": True}, {"fused": True}])
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_layer_computes_with_its_weights_behind_every_optimisers_step(
    stride: int, kind: type[torch.optim.Optimizer], how: dict[str, bool]
) -> None:
    layer = nn.Conv2d(16, 16, 4, stride=stride, padding=1)
    quicken(nn.Sequential(layer))
    optimiser = kind(layer.parameters(), lr=0.1, **how)
    image = torch.randn(2, 16, 12, 12)
    for _ in range(2):
        layer(image).square().mean().backward()
        optimiser.step()
        plain = nn.functional.conv2d(image, layer.weight, layer.bias, stride, 1)
        torch.testing.assert_close(layer(image), plain, atol=1e-4, rtol=1e-4)
