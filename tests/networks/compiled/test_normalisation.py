"""The compiled normalisation is PyTorch's in double precision, whatever the sizes, slopes and registers."""

import pytest
import torch
import torch.nn.functional as F

from compiled_code import compiled
from ctloupe.networks.compiled import library
from ctloupe.networks.compiled.normalisation import gradient, normalise, suits

SHAPES = [(1, 8, 5, 1), (3, 24, 5, 7), (2, 64, 33, 20), (1, 72, 1, 9), (2, 512, 9, 16)]
EPSILON = 1e-5


def channels_last(*shape, seed=0):
    image = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return image.contiguous(memory_format=torch.channels_last)


def directly(features, slope):
    return F.leaky_relu(F.instance_norm(features, eps=EPSILON), slope)


def assert_as_directly(features, given, slope):
    made, by = normalise(features, EPSILON, slope)
    exact = features.double().requires_grad_()
    wanted = directly(exact, slope)
    wanted.backward(given.double())
    torch.testing.assert_close(made.double(), wanted.detach(), atol=1e-5, rtol=1e-5)
    found = gradient(given, features, by, slope)
    largest = float(exact.grad.abs().max()) + 1
    torch.testing.assert_close(found.double() / largest, exact.grad / largest, atol=1e-5, rtol=0)


@compiled
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_result_and_gradient_are_the_plain_ones(shape, slope):
    assert suits(channels_last(*shape))
    assert_as_directly(channels_last(*shape), channels_last(*shape, seed=1), slope)


@compiled
def test_a_mean_far_from_zero_leaves_the_digits_of_the_rest():
    features = channels_last(2, 16, 40, 30) * 0.01
    made, _ = normalise(features + 100.0, EPSILON, 1.0)
    wanted = directly((features + 100.0).double(), 1.0)
    # A mean of 100 in float32 is half of 7.6e-6 off, which is 4e-4 of a deviation of 0.01.
    torch.testing.assert_close(made.double(), wanted, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("lanes", "channels"), [(4, 12), (8, 40), (16, 80)])
def test_registers_of_other_sizes_find_the_same(lanes, channels, of_any_width, monkeypatch):
    monkeypatch.setattr(library, "_library", lambda: of_any_width)
    monkeypatch.setattr(library, "registers", lambda: (lanes,))
    assert_as_directly(channels_last(2, channels, 11, 13), channels_last(2, channels, 11, 13, seed=1), 0.2)


@compiled
def test_any_number_of_threads_finds_the_same_bits():
    features, given = channels_last(2, 64, 40, 41), channels_last(2, 64, 40, 41, seed=1)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            made, by = normalise(features, EPSILON, 0.2)
            found.append((made, gradient(given, features, by, 0.2)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, first) for some in found for one, first in zip(some, found[0], strict=True))


@compiled
def test_what_is_not_a_number_stays_so():
    features = channels_last(1, 8, 4, 4)
    features[0, 3, 1, 2] = float("nan")
    made, _ = normalise(features, EPSILON, 0.0)
    assert made[0, 3].isnan().all() and not made[0, 4].isnan().any()


@compiled
def test_channels_that_fill_no_registers_do_not_suit():
    assert not suits(channels_last(1, 6, 4, 4))
