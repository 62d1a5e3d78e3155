"""Losses of the baselines against values worked out by hand."""

import math

import pytest
import torch
from safetensors.torch import save_file

from ctloupe.foundation.errors import FileError
from ctloupe.losses.latent import unit_variance_divergence
from ctloupe.losses.perceptual import PerceptualLoss, convolution_indices
from ctloupe.losses.relativistic import relativistic_discriminator_loss, relativistic_generator_loss
from ctloupe.losses.variation import total_variation


def softplus(value):
    return math.log1p(math.exp(value))


def test_the_relativistic_terms_compare_with_the_mean_of_the_other_side():
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 0.0])
    above = [2 + 0.5, 0 + 0.5]
    below = [-1 - 1.0, 0 - 1.0]
    judge = sum(softplus(-value) for value in above) / 2 + sum(softplus(value) for value in below) / 2
    maker = sum(softplus(value) for value in above) / 2 + sum(softplus(-value) for value in below) / 2
    assert relativistic_discriminator_loss(real, fake).item() == pytest.approx(judge, rel=1e-5)
    assert relativistic_generator_loss(real, fake).item() == pytest.approx(maker, rel=1e-5)


def test_equal_logits_leave_the_relativistic_judge_at_chance():
    same = torch.zeros(4, 1, 3, 3)
    assert relativistic_discriminator_loss(same, same).item() == pytest.approx(2 * math.log(2))


def test_the_divergence_of_a_latent_with_unit_variance_is_half_its_mean_square():
    assert unit_variance_divergence(torch.tensor([[1.0, -3.0]])).item() == pytest.approx((1 + 9) / 4)
    # Against the closed form of the library for normal distributions.
    mean = torch.randn(50, generator=torch.Generator().manual_seed(0))
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, 1.0), normal(0.0, 1.0)).mean()
    assert unit_variance_divergence(mean).item() == pytest.approx(expected.item(), rel=1e-5)


def test_total_variation_is_the_mean_square_of_neighbour_differences():
    image = torch.tensor([[0.0, 1.0], [3.0, 3.0]])[None, None]
    assert total_variation(image).item() == pytest.approx((9 + 4) / 2 + (1 + 0) / 2)
    assert total_variation(torch.ones(1, 1, 4, 5)).item() == 0


@pytest.fixture
def vgg(tmp_path):
    """Random weights under the names of VGG-19, a sixteenth as wide."""
    widths = [4, 4, 8, 8, 16, 16, 16, 16, 32, 32, 32, 32, 32, 32, 32, 32]
    random = torch.Generator().manual_seed(0)
    tensors, before = {}, 3
    for index, width in zip(convolution_indices(), widths, strict=True):
        tensors[f"features.{index}.weight"] = torch.randn(width, before, 3, 3, generator=random) / before
        tensors[f"features.{index}.bias"] = torch.zeros(width)
        before = width
    save_file(tensors, tmp_path / "vgg.safetensors")
    return tmp_path / "vgg.safetensors"


def test_the_convolutions_of_vgg_19_lie_where_torchvision_has_them():
    assert convolution_indices() == [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]


def test_the_perceptual_distance_is_zero_for_equal_images_and_has_gradients(vgg):
    loss = PerceptualLoss(vgg)
    image = torch.rand(1, 1, 32, 32, requires_grad=True)
    assert loss(image, image.detach()).item() == 0
    loss(image, torch.zeros(1, 1, 32, 32)).backward()
    assert image.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in loss.parameters())


def test_the_last_features_are_those_before_activation(vgg):
    features = PerceptualLoss(vgg).features(torch.rand(1, 1, 32, 48))
    assert features.shape == (1, 32, 2, 3)
    assert features.min() < 0


def test_missing_or_unfit_weights_are_refused_in_one_line(tmp_path, vgg):
    with pytest.raises(FileError, match="missing or not a"):
        PerceptualLoss(tmp_path / "nowhere.safetensors")
    save_file({"features.0.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "short.safetensors")
    with pytest.raises(FileError, match=r"features\.0\.bias"):
        PerceptualLoss(tmp_path / "short.safetensors")
