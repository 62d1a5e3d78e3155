"""The tangent behind a last convolution is the same, whichever way it is computed."""

import pytest
import torch

from ctloupe.networks.bounded import bounded


@pytest.mark.parametrize("inference", [False, True])
def test_it_is_the_hyperbolic_tangent(inference):
    image = torch.cat([torch.linspace(-20, 20, 4001), torch.tensor([0.0, torch.inf, -torch.inf])])
    kept = image.clone()
    with torch.inference_mode(inference):
        found = bounded(image)
    assert (found - torch.tanh(image.double())).abs().max() < 2e-7
    assert torch.equal(image, kept)


def test_half_precision_is_not_rounded_twice():
    image = torch.linspace(-0.01, 0.01, 101).bfloat16()
    with torch.inference_mode():
        assert torch.equal(bounded(image), torch.tanh(image))


def test_it_can_be_differentiated_and_exported():
    image = torch.tensor([0.5], requires_grad=True)
    bounded(image).backward()
    assert image.grad == pytest.approx(1 - torch.tanh(torch.tensor(0.5)).item() ** 2)
    with torch.inference_mode():
        traced = torch.jit.trace(bounded, torch.zeros(3))
    assert "aten::tanh" in str(traced.graph)
