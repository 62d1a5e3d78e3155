"""Bayesian CycleGAN (ISBI 2021): bicubic enlargement first, a CycleGAN of equal size, dropout that stays on."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ctloupe.losses.adversarial import AdversarialKind
from ctloupe.losses.mmsr import DistanceKind
from ctloupe.methods.base import Batch, Method, MethodConfig, TrainingBackend
from ctloupe.methods.cycle import Translators, TwoDiscriminators, cycle_step
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.blocks import initialise_normal
from ctloupe.networks.translation import TranslationGenerator


class BayesWeights(BaseModel):
    """Weights of the loss terms (ISBI 2021, Eq. 3)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adversarial_a: float = Field(1.0, ge=0)
    """λ_adv, G_H(y) should look like enlarged clinical CT."""
    adversarial_b: float = Field(1.0, ge=0)
    """λ_adv, G_L(x) should look like µCT."""
    cycle: float = Field(10.0, ge=0)
    """λ_rec, |x − G_H(G_L(x))| + |y − G_L(G_H(y))|."""


class BayesCycleGANConfig(MethodConfig):
    """Networks, dropout and losses of the Bayesian CycleGAN."""

    width: int = Field(64, ge=4)
    """Feature maps of the first convolution of G_L and G_H."""
    blocks: int = Field(9, ge=1)
    """Residual blocks."""
    dropout: float = Field(0.5, gt=0, lt=1)
    """Probability of dropout inside the residual blocks; the paper does not name it, 0.5 is CycleGAN's."""
    skip: bool = False
    """G_L and G_H add their output to their input (not in the paper)."""
    discriminator_width: int = Field(64, ge=4)
    """Feature maps of the first convolution of each discriminator."""
    discriminator_strides: int = Field(3, ge=1, le=4)
    """Stride-2 convolutions of each discriminator."""
    weights: BayesWeights = BayesWeights()
    """Weights of the loss terms."""
    adversarial: AdversarialKind = "log"
    """Kind of the adversarial loss."""
    distance: DistanceKind = "l1"
    """Distance of the cycle term."""


class EnlargeAndTranslate(nn.Module):
    """Bicubic enlargement followed by a translation network of equal size.

    Parameters
    ----------
    scale
        In-plane enlargement.
    translation
        Maps ``(n, 1, H, W)`` to the same shape.
    """

    def __init__(self, scale: int, translation: nn.Module) -> None:
        super().__init__()
        self.scale = scale
        self.translation = translation

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, h, w)`` in [−1, 1] to ``(n, 1, s·h, s·w)`` in [−1, 1]."""
        return self.translation(enlarge_bicubic(image, self.scale).clamp(-1, 1))


class BayesCycleGAN(Method):
    """Passes with different dropout masks give a mean and an uncertainty: enhance with T `samples`.

    Parameters
    ----------
    config
        See `BayesCycleGANConfig`.
    """

    name = "bayes-cyclegan"
    summary = "CycleGAN on the bicubic enlargement, with Monte-Carlo dropout for uncertainty"
    reference = "Li et al. 2021 (ISBI), doi:10.1109/isbi48211.2021.9434061"
    Config = BayesCycleGANConfig
    config: BayesCycleGANConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 1e-4, "batch_size": 5, "epochs": 50, "constant_fraction": 1.0},
        "tiny": {
            "patch_size": 16,
            "batch_size": 2,
            "width": 12,
            "blocks": 4,
            "dropout": 0.2,
            "skip": True,
            "discriminator_width": 32,
            "discriminator_strides": 2,
            "learning_rate": 6e-4,
            "epochs": 10,
            "flips": True,
        },
    }

    def __init__(self, config: BayesCycleGANConfig) -> None:
        super().__init__(config)
        self.super_resolution = self.make_enhancer(config)
        back = TranslationGenerator(config.width, config.blocks, dropout=config.dropout, skip=config.skip)
        self.translators = Translators(self.super_resolution.translation, back)
        self.discriminators = TwoDiscriminators(config.discriminator_width, config.discriminator_strides)
        initialise_normal(self.translators)
        initialise_normal(self.discriminators)

    @classmethod
    def make_enhancer(cls, config: BayesCycleGANConfig) -> EnlargeAndTranslate:
        """Build the enlargement followed by G_L."""
        translation = TranslationGenerator(config.width, config.blocks, dropout=config.dropout, skip=config.skip)
        return EnlargeAndTranslate(config.scale, translation)

    def enhancer(self) -> nn.Module:
        """Return the enlargement followed by G_L."""
        return self.super_resolution

    def networks(self) -> dict[str, nn.Module]:
        """Return G_L, G_H and their discriminators."""
        return {
            "G_L": self.translators.forth,
            "G_H": self.translators.back,
            "D_L": self.discriminators.a,
            "D_H": self.discriminators.b,
        }

    def trainables(self) -> dict[str, nn.Module]:
        """Return the generators and the discriminators."""
        return {"generators": self.translators, "discriminators": self.discriminators}

    def loss_weights(self) -> dict[str, float]:
        """Return λ by term."""
        return self.config.weights.model_dump()

    def step(self, batch: Batch, backend: TrainingBackend) -> dict[str, Tensor]:
        """Update the generators, then the discriminators."""
        low = enlarge_bicubic(batch.clinical, self.config.scale).clamp(-1, 1)
        config = self.config
        return cycle_step(
            backend,
            self.discriminators,
            low,
            batch.micro,
            self.loss_weights(),
            cycle=config.distance,
            adversarial=config.adversarial,
        )

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Return SR and the µCT patch made clinical."""
        return {"SR": self.super_resolution(batch.clinical), "G_H(micro-CT)": self.translators.back(batch.micro)}
