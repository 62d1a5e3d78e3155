"""Degradations: linear images and places are kept, noise has the level asked for."""

import pytest
import torch

from ctloupe.networks.bicubic import shrink_bicubic
from ctloupe.networks.degradations import gaussian_pyramid, shrink_and_add_noise


def ramp(size):
    at = torch.arange(float(size))
    return (0.3 * at[:, None] + 0.7 * at[None])[None, None]


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_both_reductions_keep_a_linear_image_in_place(steps):
    scale = 1 << steps
    fine = ramp(16 * scale)
    centres = (torch.arange(16.0) + 0.5) * scale - 0.5
    expected = 0.3 * centres[:, None] + 0.7 * centres[None]
    for small in (shrink_bicubic(fine, scale), gaussian_pyramid(fine, steps)):
        assert small.shape == (1, 1, 16, 16)
        inside = (small[0, 0] - expected)[6:-6, 6:-6]
        assert inside.abs().max() < 1e-3 * scale


def test_a_gaussian_pyramid_keeps_constants_to_the_border():
    assert torch.allclose(gaussian_pyramid(torch.full((2, 1, 16, 24), 0.4), 3), torch.tensor(0.4))


def test_a_gaussian_pyramid_removes_what_the_coarse_grid_cannot_hold():
    checker = torch.ones(1, 1, 32, 32)
    checker[..., ::2] = -1
    assert gaussian_pyramid(checker, 1)[..., 2:-2, 2:-2].abs().max() < 1e-5


def test_noise_has_the_deviation_asked_for_and_depends_on_the_global_generator():
    torch.manual_seed(0)
    flat = torch.zeros(4, 1, 256, 256)
    noisy = shrink_and_add_noise(flat, 2, 0.1)
    assert noisy.std().item() == pytest.approx(0.1, rel=0.02)
    torch.manual_seed(0)
    assert torch.equal(noisy, shrink_and_add_noise(flat, 2, 0.1))
    assert torch.equal(shrink_and_add_noise(flat, 2, 0.0), torch.zeros(4, 1, 128, 128))
