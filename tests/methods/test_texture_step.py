"""A texture learns what an image differs from its mean by: how much, of which kind, and about that mean."""

from types import SimpleNamespace

import pytest
import torch

from ctloupe.methods.texture_step import TextureWeights, cut_alike, texture_step
from ctloupe.networks.flow.texture import TextureDiscriminator, TextureHead
from plain_backend import PlainBackend


def backend_of(**trainables):
    """What runs a step of these modules."""
    optimisers = {name: torch.optim.Adam(one.parameters(), 2e-3, (0.5, 0.99)) for name, one in trainables.items()}
    return PlainBackend(SimpleNamespace(trainables=lambda: trainables, optimisers=lambda: optimisers))


def test_the_same_square_is_cut_out_of_every_grid():
    torch.manual_seed(0)
    fine = torch.arange(256.0).view(1, 1, 16, 16)
    twice = fine[..., ::4, ::4]
    for _ in range(5):
        coarse, cut = cut_alike((twice, fine), 1)
        assert coarse.shape == (1, 1, 2, 2) and cut.shape == (1, 1, 8, 8)
        assert torch.equal(cut[..., ::4, ::4], coarse)


def test_a_view_that_is_not_larger_stays_whole():
    images = torch.rand(2, 3, 8, 12), torch.rand(2, 1, 32, 48)
    assert all(torch.equal(one, other) for one, other in zip(cut_alike(images, 16), images, strict=True))


def flatness(weight):
    """Mean squared gradient of a discriminator's logits by the errors, after thirty steps at this weight."""
    torch.manual_seed(0)
    head, discriminator = TextureHead(2, 4, 12, 8, 1), TextureDiscriminator(8)
    backend = backend_of(texture=head, discriminator=discriminator)
    mean = torch.zeros(4, 1, 64, 64)
    for _ in range(30):
        errors = 0.3 * torch.randn(4, 1, 64, 64).sign()
        texture_step(
            backend,
            discriminator,
            torch.randn(4, 2, 16, 16),
            mean,
            errors,
            8,
            TextureWeights(discriminator_gradient=weight),
        )
    errors = (0.3 * torch.randn(4, 1, 64, 64).sign()).requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(mean, errors)[0].sum(), errors)
    return gradient.square().mean()


@pytest.mark.slow
def test_a_discriminator_that_pays_for_its_gradient_is_flatter():
    assert flatness(1.0) < 0.5 * flatness(0.0)


@pytest.mark.slow
def test_samples_become_as_strong_as_the_errors_and_have_little_in_common():
    torch.manual_seed(0)
    head, discriminator = TextureHead(2, 4, 12, 8, 1), TextureDiscriminator(8)
    backend, weights = backend_of(texture=head, discriminator=discriminator), TextureWeights()
    for step in range(60):
        fine, mean = torch.randn(4, 2, 16, 16), torch.zeros(4, 1, 64, 64)
        errors = 0.3 * torch.randn(4, 1, 32, 32).repeat_interleave(2, 2).repeat_interleave(2, 3)
        terms = texture_step(backend, discriminator, fine, mean, errors, 8, weights)
        assert all(torch.isfinite(term) for term in terms.values()), step
    assert set(terms) >= {"texture_spectrum", "patterns", "discriminator_gradient"}
    fine = torch.randn(1, 2, 32, 32).expand(16, -1, -1, -1)
    with torch.no_grad():
        samples = head(fine, torch.randn(16, 1, 128, 128))
    assert 0.1 < samples.std() < 0.6
    assert samples.mean(0).std() < 0.5 * samples.std()
