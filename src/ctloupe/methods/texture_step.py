"""A training step of the texture that makes samples of a mean, against a discriminator that sees that mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from ctloupe.losses.mesh import mesh_power
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
    as strong as the errors, whatever the discriminator says: without that, both drive each other up sooner or later.

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
    }
    weight = weights.model_dump()
    backend.update("texture", torch.stack([weight[name] * term for name, term in terms.items()]).sum())
    discriminator.requires_grad_(True)
    of_error, of_one = (logits.float() for logits in backend.forward("discriminator", mean, error, one.detach()))
    terms["discriminator"] = F.softplus(of_one - of_error).mean()
    backend.update("discriminator", terms["discriminator"])
    return terms
