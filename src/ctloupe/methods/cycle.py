"""The training step of a CycleGAN between two domains of one image size, shared by the methods that have one inside."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ctloupe.losses.adversarial import AdversarialKind, discriminator_loss, generator_loss
from ctloupe.losses.mmsr import DistanceKind, distance
from ctloupe.methods.base import TrainingBackend
from ctloupe.networks.discriminators import PatchDiscriminator


class Translators(nn.Module):
    """Both directions with one forward for everything a step needs of them.

    Parameters
    ----------
    forth, back
        Networks from domain a to b and from b to a.
    """

    def __init__(self, forth: nn.Module, back: nn.Module) -> None:
        super().__init__()
        self.forth, self.back = forth, back

    def forward(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        """Translate both ways and back again."""
        b_of_a, a_of_b = self.forth(a), self.back(b)
        return {"b_of_a": b_of_a, "a_of_b": a_of_b, "a_cycle": self.back(b_of_a), "b_cycle": self.forth(a_of_b)}


class TwoDiscriminators(nn.Module):
    """A PatchGAN for each domain.

    Parameters
    ----------
    width, strides
        Feature maps of the first convolution and stride-2 convolutions of each.
    """

    def __init__(self, width: int, strides: int) -> None:
        super().__init__()
        self.a = PatchDiscriminator(width, strides)
        self.b = PatchDiscriminator(width, strides)

    def forward(self, a: Tensor, a_of_b: Tensor, b: Tensor, b_of_a: Tensor) -> tuple[Tensor, ...]:
        """Logits of real and generated images of a, then of b."""
        return self.a(a), self.a(a_of_b), self.b(b), self.b(b_of_a)


def small_discriminator(width: int, strides: int, whole: bool) -> PatchDiscriminator:
    """Build a PatchGAN for images of clinical size.

    Parameters
    ----------
    width, strides
        Feature maps of the first convolution, and stride-2 convolutions of the PatchGAN at µCT size.
    whole
        Give it as many convolutions, all of stride 1; otherwise two of stride 2 at most.
    """
    return PatchDiscriminator(width, strides, 0) if whole else PatchDiscriminator(width, min(strides, 2))


def cycle_step(
    backend: TrainingBackend,
    discriminators: TwoDiscriminators,
    a: Tensor,
    b: Tensor,
    weights: dict[str, float],
    *,
    cycle: DistanceKind = "l1",
    adversarial: AdversarialKind = "least-squares",
    more: Callable[[dict[str, Tensor]], dict[str, Tensor]] = lambda images: {},
) -> dict[str, Tensor]:
    """Update the trainables ``generators`` (`Translators`) and ``discriminators`` (`TwoDiscriminators`).

    Parameters
    ----------
    backend
        Runs and updates the trainables.
    discriminators
        The trainable ``discriminators``.
    a, b : (n, 1, h, w)
        Images of both domains in [−1, 1].
    weights
        Weights of ``adversarial_a``, ``adversarial_b``, ``cycle`` and every term of `more`.
    cycle, adversarial
        Distance of the cycle term, and kind of the adversarial loss.
    more
        Computes further terms from the translated images.

    Returns
    -------
    dict
        Each unweighted term, detached, and ``total``.
    """
    discriminators.requires_grad_(False)
    images = backend.forward("generators", a, b)
    with backend.autocast():
        fooled_a, fooled_b = discriminators.a(images["a_of_b"]), discriminators.b(images["b_of_a"])
    terms = {
        "adversarial_a": generator_loss(fooled_a.float(), adversarial),
        "adversarial_b": generator_loss(fooled_b.float(), adversarial),
        "cycle": distance(a, images["a_cycle"], cycle) + distance(b, images["b_cycle"], cycle),
    } | more(images)
    total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    backend.update("generators", total)
    discriminators.requires_grad_(True)
    logits = backend.forward("discriminators", a, images["a_of_b"].detach(), b, images["b_of_a"].detach())
    found = {
        "discriminator_a": discriminator_loss(logits[0], logits[1], adversarial),
        "discriminator_b": discriminator_loss(logits[2], logits[3], adversarial),
    }
    backend.update("discriminators", found["discriminator_a"] + found["discriminator_b"])
    return {name: term.detach() for name, term in (terms | found | {"total": total}).items()}
