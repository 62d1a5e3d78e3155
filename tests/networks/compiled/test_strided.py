"""Compiled convolutions of stride 2, their adjoints and gradients are PyTorch's in double precision."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from compiled_code import channels_last, compiled, random
from ctloupe.networks.compiled import library
from ctloupe.networks.compiled.strided import (
    kernel_of_larger,
    kernel_of_smaller,
    larger,
    smaller,
    suits,
    weight_gradient,
)

NEAR = 1e-4


def assert_as_directly(image, weight, bias, padding):
    taps, size = weight.shape[2], (image.shape[2], image.shape[3])
    seen, by = image.double().requires_grad_(), weight.double().requires_grad_()
    wanted = F.conv2d(seen, by, bias.double(), 2, padding)
    of_result = channels_last(random(*wanted.shape, seed=7))
    wanted.backward(of_result.double())
    found = smaller(image, kernel_of_smaller(weight), bias, taps, padding)
    torch.testing.assert_close(found.double(), wanted.detach(), atol=NEAR, rtol=NEAR)
    of_image = larger(of_result, kernel_of_larger(weight), padding, size)
    torch.testing.assert_close(of_image.double(), seen.grad, atol=NEAR, rtol=NEAR)
    of_weight = weight_gradient(image, of_result, taps, padding)
    scale = float(by.grad.abs().max()) + 1
    torch.testing.assert_close(of_weight.double() / scale, by.grad / scale, atol=NEAR, rtol=0)


@compiled
@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 3),
    height=st.integers(4, 27),
    width=st.integers(4, 27),
    inputs=st.sampled_from([8, 16, 40]),
    outputs=st.sampled_from([8, 24, 32]),
    taps=st.sampled_from([3, 4]),
    padding=st.integers(0, 3),
)
def test_they_are_the_plain_ones(count, height, width, inputs, outputs, taps, padding):
    if not suits(inputs, outputs, taps, padding):
        return
    weight = random(outputs, inputs, taps, taps) / (taps * inputs**0.5)
    assert_as_directly(channels_last(random(count, inputs, height, width)), weight, random(outputs), padding)


@pytest.mark.parametrize(("lanes", "inputs", "outputs"), [(4, 4, 12), (16, 16, 48)])
def test_registers_of_other_sizes_find_the_same(lanes, inputs, outputs, of_any_width, monkeypatch):
    monkeypatch.setattr(library, "_library", lambda: of_any_width)
    monkeypatch.setattr(library, "registers", lambda: (lanes,))
    weight = random(outputs, inputs, 4, 4) / (4 * inputs**0.5)
    assert_as_directly(channels_last(random(2, inputs, 13, 20)), weight, random(outputs), 1)


@compiled
def test_what_does_not_suit():
    assert suits(16, 24, 4, 1) and suits(16, 24, 3, 1)
    assert not suits(1, 64, 4, 1) and not suits(64, 1, 4, 1)
    assert not suits(16, 24, 4, 0) and not suits(16, 24, 3, 3) and not suits(16, 24, 5, 2)
