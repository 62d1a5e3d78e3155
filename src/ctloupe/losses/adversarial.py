"""Adversarial terms on discriminator logits (JMI 2022, Eq. 2)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

AdversarialKind = Literal["log", "least-squares"]


def _towards(logits: Tensor, real: bool, kind: AdversarialKind) -> Tensor:
    """Distance of `logits` from the answer "all are real" or "none is"."""
    target = torch.full_like(logits, float(real))
    if kind == "log":
        return F.binary_cross_entropy_with_logits(logits, target)
    return F.mse_loss(logits, target)


def discriminator_loss(real: Tensor, fake: Tensor, kind: AdversarialKind = "log") -> Tensor:
    """Half the sum of "real is real" and "fake is fake", as CycleGAN weighs it.

    Parameters
    ----------
    real, fake
        Logits of real and of generated (detached) images.
    kind
        ``log``: −log D(real) − log(1 − D(fake)); ``least-squares``: (D(real) − 1)² + D(fake)², on logits.
    """
    return 0.5 * (_towards(real, True, kind) + _towards(fake, False, kind))


def generator_loss(fake: Tensor, kind: AdversarialKind = "log") -> Tensor:
    """What the generator minimises: −log D(fake) (non-saturating), or (D(fake) − 1)²."""
    return _towards(fake, True, kind)
