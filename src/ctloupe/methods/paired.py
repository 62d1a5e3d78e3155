"""The training step that all methods with pairs share: a pixel term, an adversarial term, and what else they add."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from ctloupe.losses.adversarial import AdversarialKind, discriminator_loss, generator_loss
from ctloupe.losses.mmsr import DistanceKind, distance
from ctloupe.methods.base import TrainingBackend
from ctloupe.networks.discriminators import PatchDiscriminator
from ctloupe.networks.srresnet import ImageDiscriminator

DiscriminatorKind = Literal["image", "dense", "patch"]

ESRGAN_KEPT, ESRGAN_HIDDEN = 8, 100
"""Side of the last feature maps and width of the dense layer of ``dense``, as in the code released with ESRGAN."""


class PairDiscriminator(nn.Module):
    """A discriminator with one forward for a real and a generated batch.

    Parameters
    ----------
    kind
        ``image`` is SRGAN's with one logit an image, ``dense`` the same with the last feature maps kept at 8×8 for a
        dense layer of 100 (ESRGAN), ``patch`` is PatchGAN.
    width
        Feature maps of the first convolution.
    strides
        Stride-2 convolutions of ``patch``; the others have a fixed number.
    halvings
        How many of these do have stride 2; default: all.
    """

    def __init__(self, kind: DiscriminatorKind, width: int, strides: int, halvings: int | None = None) -> None:
        super().__init__()
        self.network: nn.Module
        if kind == "patch":
            self.network = PatchDiscriminator(width, strides, halvings)
        elif kind == "dense":
            self.network = ImageDiscriminator(width, ESRGAN_KEPT, ESRGAN_HIDDEN)
        else:
            self.network = ImageDiscriminator(width)

    def forward(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of both."""
        return self.network(real), self.network(fake)


def paired_step(
    backend: TrainingBackend,
    discriminator: PairDiscriminator,
    low: Tensor,
    high: Tensor,
    weights: dict[str, float],
    *,
    pixel: DistanceKind = "l2",
    adversarial: AdversarialKind = "log",
    more: Callable[[Tensor], dict[str, Tensor]] = lambda sr: {},
) -> dict[str, Tensor]:
    """Update the trainables ``generator`` and ``discriminator`` on LR images `low` and what they should become, `high`.

    Without an adversarial weight the discriminator is not run at all.

    Parameters
    ----------
    backend
        Runs and updates the trainables.
    discriminator
        The trainable ``discriminator``.
    low, high : (n, 1, h, w) and (n, 1, s·h, s·w)
        Images in [−1, 1].
    weights
        Weights of ``pixel``, ``adversarial`` and every term of `more`.
    pixel, adversarial
        Distance of the pixel term, and kind of the adversarial loss.
    more
        Computes further terms from the SR image.

    Returns
    -------
    dict
        Each unweighted term, detached, and ``total``.
    """
    sr = backend.forward("generator", low)
    terms = {"pixel": distance(sr, high, pixel)} | more(sr)
    if weights["adversarial"]:
        discriminator.requires_grad_(False)
        with backend.autocast():
            fooled = discriminator.network(sr)
        terms["adversarial"] = generator_loss(fooled.float(), adversarial)
    total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    backend.update("generator", total)
    found: dict[str, Tensor] = {}
    if weights["adversarial"]:
        discriminator.requires_grad_(True)
        real, fake = backend.forward("discriminator", high, sr.detach())
        found["discriminator"] = discriminator_loss(real, fake, adversarial)
        backend.update("discriminator", found["discriminator"])
    return {name: term.detach() for name, term in (terms | found | {"total": total}).items()}
