"""The spectrum loss: 0 for one spectrum wherever things are, exact for a known filter, deaf to their strength."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ctloupe.losses.spectrum import spectrum_distance


def noise(count: int, size: tuple[int, int] = (48, 48), seed: int = 0) -> Tensor:
    return torch.randn(count, 1, *size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(48, 48), (40, 56), (33, 47)])
def test_images_of_one_spectrum_are_not_apart_wherever_their_structures_are(size: tuple[int, int]) -> None:
    image = noise(4, size)
    assert spectrum_distance(image, image, 4) == pytest.approx(0, abs=1e-9)
    assert spectrum_distance(-image, image, 4) == pytest.approx(0, abs=1e-9)
    assert spectrum_distance(noise(200, size, 1), noise(200, size, 2), 4) < 1e-3


def test_the_strength_of_images_does_not_matter() -> None:
    drawn, real, strength = noise(2, seed=1), noise(2), torch.tensor([1.0, 100.0]).view(-1, 1, 1, 1)
    expected = pytest.approx(float(spectrum_distance(drawn, real, 4)), rel=1e-4)
    assert float(spectrum_distance(strength * drawn, real, 4)) == expected
    assert float(spectrum_distance(drawn, strength * real, 4)) == expected


def test_power_moved_from_one_half_of_the_spectrum_to_the_other_costs_its_squared_logarithm() -> None:
    spectrum = torch.fft.rfft2(noise(400))
    rows, columns = torch.fft.fftfreq(48), torch.fft.rfftfreq(48)
    fine = torch.hypot(rows[:, None], columns) > 0.25
    drawn = torch.fft.irfft2(spectrum * torch.where(fine, 3**0.5, 1.0), s=(48, 48))
    # The share of the power beyond a quarter of a cycle is 1 - pi/16.
    total = 3 * (1 - math.pi / 16) + math.pi / 16
    expected = (math.log(3 / total) ** 2 + math.log(1 / total) ** 2) / 2
    assert float(spectrum_distance(drawn, noise(400, seed=1), 4)) == pytest.approx(expected, rel=0.05)


def test_images_of_nothing_cost_something_finite_and_have_a_gradient() -> None:
    drawn = (1e-3 * noise(2)).requires_grad_(True)
    loss = spectrum_distance(drawn, torch.zeros(2, 1, 48, 48), 4)
    assert loss.isfinite()
    (gradient,) = torch.autograd.grad(spectrum_distance(drawn, noise(2, seed=1), 4), drawn)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
