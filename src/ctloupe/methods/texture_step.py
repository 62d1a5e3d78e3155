"""A training step of the texture that makes samples of a mean, against a discriminator that sees that mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from ctloupe.losses.mesh import mesh_power
from ctloupe.losses.sliced_wasserstein import sliced_wasserstein_loss
from ctloupe.losses.spectrum import spectrum_distance
from ctloupe.methods.base import TrainingBackend
from ctloupe.networks.flow.texture import TextureDiscriminator

_LEAST_POWER = 1e-6
"""Below which an image has no errors to speak of, in squared units of [−1, 1]."""


class TextureWeights(BaseModel):
    """Weights of what a texture is trained by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    texture: float = Field(1.0, ge=0)
    """How much likelier the discriminator holds what µCT differs from the mean by."""
    unbiased: float = Field(10.0, ge=0)
    """Power that all samples of one scan have in common, in units of that of the errors."""
    strength: float = Field(1.0, ge=0)
    """Squared logarithm of the power of a sample about the mean in units of that of the errors, image by image."""
    texture_mesh: float = Field(30.0, ge=0)
    """Power of what all samples have in common from one scan voxel to the next, in the same units."""
    texture_spectrum: float = Field(1.0, ge=0)
    """Squared logarithm of the ratio of the spectra of samples about the mean and of errors."""
    patterns: float = Field(10.0, ge=0)
    """Squared sliced Wasserstein distance of the small patterns of samples and µCT."""
    discriminator_gradient: float = Field(0.01, ge=0)
    """Squared gradient of the discriminator's logits by what it looks at."""


def cut_alike(images: Sequence[Tensor], area: int) -> list[Tensor]:
    """Cut the same random square out of images of one view.

    Parameters
    ----------
    images : (n, c, k·h, k·w)
        Each on a grid of its own; the first has the coarsest, of twice the scan's resolution.
    area
        Side of the square in scan voxels; a view that is not larger stays whole.
    """
    height, width = (side // 2 for side in images[0].shape[-2:])
    rows, columns = min(area, height), min(area, width)
    top, left = (int(torch.randint(0, free + 1, (), device="cpu")) for free in (height - rows, width - columns))
    cut = []
    for image in images:
        k = image.shape[-1] // width
        cut.append(image[..., k * top : k * (top + rows), k * left : k * (left + columns)])
    return cut


def texture_step(
    backend: TrainingBackend,
    discriminator: TextureDiscriminator,
    fine: Tensor,
    mean: Tensor,
    high: Tensor,
    scale: int,
    weights: TextureWeights,
) -> dict[str, Tensor]:
    """Update the trainables ``texture`` and ``discriminator``.

    The discriminator compares the difference of µCT to the mean with one that was drawn for the same mean (relativistic
    pairing, Jolicoeur-Martineau 2018, arXiv:1807.00734). Two draws for one mean are independent but for what they have
    in common, so that the mean of their product is the power of the mean's own displacement; it is kept small, or
    samples would not be samples about the posterior mean. By chance it may be negative, which is no merit. Samples are
    as strong as the errors, and of their spectrum, whatever the discriminator says: without that, both drive each other
    up sooner or later. Small patterns are compared without it too, which is steadier, and learns first.

    Parameters
    ----------
    backend
        Runs and updates the trainables.
    discriminator
        The trainable ``discriminator``.
    fine
        Features that the mean is made of.
    mean, high : (n, 1, s·h, s·w)
        The mean, and the µCT, in [−1, 1].
    scale
        s.
    weights
        Weights of the terms.

    Returns
    -------
    dict
        Each unweighted term.
    """
    error = high - mean
    drawn = backend.forward("texture", torch.cat([fine, fine]), torch.randn_like(torch.cat([mean, mean])))
    one, other = drawn.chunk(2)
    discriminator.requires_grad_(False)
    with backend.autocast():
        of_error, of_one = (logits.float() for logits in discriminator(mean, error, one))
    power = error.square().mean((1, 2, 3)).clamp_min(_LEAST_POWER)
    terms = {
        "texture": F.softplus(of_error.detach() - of_one).mean(),
        "unbiased": ((one * other).mean() / power.mean()).relu(),
        "strength": (one.square().mean((1, 2, 3)).clamp_min(_LEAST_POWER) / power).log().square().mean(),
        "texture_mesh": (mesh_power(one, scale, other=other) / power.mean()).relu(),
        "texture_spectrum": spectrum_distance(drawn, error, scale),
        "patterns": sliced_wasserstein_loss(torch.cat([mean, mean]) + drawn, high),
    }
    weight = weights.model_dump()
    backend.update("texture", torch.stack([weight[name] * term for name, term in terms.items()]).sum())
    discriminator.requires_grad_(True)
    terms |= _discriminator_terms(backend, mean, error, one.detach(), bool(weights.discriminator_gradient))
    penalty = weights.discriminator_gradient * terms.get("discriminator_gradient", 0.0)
    backend.update("discriminator", terms["discriminator"] + penalty)
    return terms


def _discriminator_terms(
    backend: TrainingBackend, mean: Tensor, error: Tensor, drawn: Tensor, with_gradient: bool
) -> dict[str, Tensor]:
    """Loss of the discriminator, and the squared gradient of its average logit by what is real and by what is drawn.

    A pair of players whose discriminator is kept flat on both ends where it should end (Mescheder et al. 2018,
    arXiv:1801.04406; Huang et al. 2024, arXiv:2501.05441, Eq. 3 and 4). An image's gradient is multiplied by the number
    of its logits, as if each were a discriminator of a patch of its own.
    """
    seen = [one.detach().requires_grad_(with_gradient) for one in (error, drawn)]
    of_error, of_drawn = (logits.float() for logits in backend.forward("discriminator", mean, *seen))
    terms = {"discriminator": F.softplus(of_drawn - of_error).mean()}
    if with_gradient:
        gradients = torch.autograd.grad(of_error.sum() + of_drawn.sum(), seen, create_graph=True)
        squared = torch.stack([one.square().sum((1, 2, 3)).mean() for one in gradients]).sum()
        terms["discriminator_gradient"] = squared / of_error[0].numel()
    return terms
