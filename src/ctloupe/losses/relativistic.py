"""Relativistic average adversarial terms: is a real image more real than generated ones are on average?

Jolicoeur-Martineau 2018, arXiv:1807.00734; ESRGAN (Wang et al. 2018), Eqs. 1 and 2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _cross_entropy(logits: Tensor, real: bool) -> Tensor:
    """Binary cross-entropy of `logits` with "all are real" or "none is"."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def relativistic_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """−log σ(C(real) − mean C(fake)) − log(1 − σ(C(fake) − mean C(real))), each averaged (ESRGAN, Eq. 1).

    Parameters
    ----------
    real, fake
        Logits C of real and of generated (detached) images.
    """
    return _cross_entropy(real - fake.mean(), True) + _cross_entropy(fake - real.mean(), False)


def relativistic_generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """−log(1 − σ(C(real) − mean C(fake))) − log σ(C(fake) − mean C(real)), each averaged (ESRGAN, Eq. 2).

    Parameters
    ----------
    real, fake
        Logits of real images (detached) and of generated ones.
    """
    return _cross_entropy(real - fake.mean(), False) + _cross_entropy(fake - real.mean(), True)
