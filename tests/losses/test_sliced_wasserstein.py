"""The sliced Wasserstein loss: 0 for one texture wherever it is, large for grain of the same spectrum."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ctloupe.losses.sliced_wasserstein import sliced_wasserstein_loss


def points(seed: int, strength: float = 1.0) -> Tensor:
    """Bright single pixels on a dark ground: white like noise, and nothing like it."""
    random = torch.rand(4, 1, 192, 192, generator=torch.Generator().manual_seed(seed))
    return strength * (random < 0.05).float()


def test_an_image_is_not_apart_from_itself() -> None:
    assert sliced_wasserstein_loss(points(0), points(0)) == 0


def test_the_same_texture_elsewhere_is_near_and_noise_of_the_same_spectrum_is_not() -> None:
    torch.manual_seed(0)
    real = points(0)
    elsewhere = sliced_wasserstein_loss(points(1), real)
    noise = real.mean() + real.std() * torch.randn_like(real)
    assert elsewhere < 0.05
    assert sliced_wasserstein_loss(noise, real) > 5 * elsewhere


def test_values_are_compared_in_units_of_the_real_ones_spread() -> None:
    torch.manual_seed(0)
    far = sliced_wasserstein_loss(points(1, 0.5), points(0))
    torch.manual_seed(0)
    assert sliced_wasserstein_loss(10 * points(1, 0.5), 10 * points(0)) == pytest.approx(float(far), rel=1e-4)


def test_an_image_of_one_value_does_not_outweigh_the_others() -> None:
    real = points(0)
    real[0] = 0
    assert sliced_wasserstein_loss(points(1), real) < 10


def test_each_image_is_compared_with_the_one_of_its_pair() -> None:
    real = torch.cat([points(0)[:1], 3 * points(0)[:1]])
    torch.manual_seed(0)
    paired = sliced_wasserstein_loss(torch.cat([real, real]), real)
    crossed = sliced_wasserstein_loss(torch.cat([real.flip(0), real.flip(0)]), real)
    assert paired == 0
    assert crossed > 0.1


def test_its_gradient_leads_from_noise_to_the_texture() -> None:
    torch.manual_seed(0)
    real = points(0)
    drawn = (real.mean() + real.std() * torch.randn_like(real)).requires_grad_(True)
    first = None
    for _ in range(20):
        loss = sliced_wasserstein_loss(drawn, real)
        first = loss.item() if first is None else first
        (gradient,) = torch.autograd.grad(loss, drawn)
        with torch.no_grad():
            drawn -= 0.05 * real.std() * gradient / gradient.abs().mean()
    assert loss.item() < 0.5 * first


def test_flat_images_have_a_finite_distance() -> None:
    assert sliced_wasserstein_loss(points(0), torch.zeros(4, 1, 192, 192)).isfinite()


def test_grains_are_apart_from_walls_of_the_same_values() -> None:
    """Lines of eight pixels, and the same pixels strewn."""
    torch.manual_seed(0)
    walls = torch.zeros(2, 1, 192, 192)
    for image in walls[:, 0]:
        for top, left in torch.randint(0, 184, (400, 2)).tolist():
            image[top : top + 8, left] = 1.0
    places = torch.randperm(192 * 192)
    grains = walls.flatten(2)[..., places].view_as(walls)
    elsewhere = sliced_wasserstein_loss(walls.roll((50, 31), (2, 3)), walls)
    assert sliced_wasserstein_loss(grains, walls) > 5 * elsewhere > 0
