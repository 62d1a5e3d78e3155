"""ESRGAN: dense residual generator and relativistic discriminator; a baseline of JMI 2022."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ctloupe.losses.mmsr import DistanceKind, distance
from ctloupe.losses.perceptual import PerceptualLoss
from ctloupe.losses.relativistic import relativistic_discriminator_loss, relativistic_generator_loss
from ctloupe.methods.base import Batch, Method, MethodConfig, TrainingBackend
from ctloupe.methods.paired import PairDiscriminator
from ctloupe.networks.degradations import shrink_and_add_noise
from ctloupe.networks.rrdb import RRDBNet


class ESRGANWeights(BaseModel):
    """Weights of the loss terms (ESRGAN, Eq. 3)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pixel: float = Field(0.01, ge=0)
    """η, distance of y and SR."""
    adversarial: float = Field(0.005, ge=0)
    """λ, the relativistic adversarial term."""
    perceptual: float = Field(1.0, ge=0)
    """Distance of the VGG features of y and SR, where `perceptual_weights` are given."""


class ESRGANConfig(MethodConfig):
    """Networks, pairing and losses of ESRGAN."""

    width: int = Field(64, ge=4)
    """Feature maps of the generator's trunk."""
    growth: int = Field(32, ge=2)
    """Feature maps that each convolution of a dense block adds."""
    blocks: int = Field(23, ge=1)
    """Residual-in-residual blocks."""
    narrowing: bool = False
    """Halve the width at each doubling."""
    bicubic_skip: bool = False
    """Add the output to the bicubic enlargement (not in the paper)."""
    pairing: Literal["unpaired", "degraded"] = "unpaired"
    """``unpaired``: a clinical patch and an unrelated µCT patch as its target, as JMI 2022 trained it;
    ``degraded``: a µCT patch and its bicubic reduction with noise."""
    noise: float = Field(0.05, ge=0)
    """Standard deviation of the noise on reduced µCT, for ``degraded`` pairs, in units of [−1, 1]."""
    discriminator: Literal["dense", "patch"] = "dense"
    """``dense``: SRGAN's convolutions and dense layers, as ESRGAN has it; ``patch``: PatchGAN."""
    discriminator_width: int = Field(64, ge=4)
    """Feature maps of the first convolution of the discriminator."""
    discriminator_strides: int = Field(3, ge=1, le=4)
    """Stride-2 convolutions of a PatchGAN."""
    perceptual_weights: Path | None = None
    """VGG-19 as .safetensors; without it there is no perceptual term."""
    weights: ESRGANWeights = ESRGANWeights()
    """Weights of the loss terms."""
    pixel: DistanceKind = "l1"
    """Distance of the pixel term."""


class ESRGAN(Method):
    """Supervised; on unpaired patches, as JMI 2022 trained it, the target has nothing to do with the input.

    Parameters
    ----------
    config
        See `ESRGANConfig`.
    """

    name = "esrgan"
    summary = "dense residual generator, relativistic discriminator; unpaired or degraded pairs"
    reference = "Wang et al. 2018, arXiv:1809.00219; trained as in JMI 2022"
    Config = ESRGANConfig
    config: ESRGANConfig
    unsaid: ClassVar[dict[str, Any]] = {"discriminator": "patch"}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 1e-4, "betas": (0.9, 0.999), "batch_size": 16},
        "paper-degraded": {"learning_rate": 1e-4, "betas": (0.9, 0.999), "batch_size": 16, "pairing": "degraded"},
        "tiny": {
            "batch_size": 2,
            "width": 32,
            "growth": 16,
            "blocks": 2,
            "narrowing": True,
            "bicubic_skip": True,
            "pairing": "degraded",
            "discriminator_width": 16,
            "learning_rate": 4e-4,
            "betas": (0.9, 0.999),
            "epochs": 10,
            "flips": True,
            "weights": {"pixel": 1.0},
        },
    }

    def __init__(self, config: ESRGANConfig) -> None:
        super().__init__(config)
        self.generator = self.make_enhancer(config)
        self.discriminator = PairDiscriminator(
            config.discriminator, config.discriminator_width, config.discriminator_strides
        )
        # In a list, so that the borrowed weights are not part of checkpoints.
        self._perceptual: list[PerceptualLoss] = []
        if config.perceptual_weights is not None and config.weights.perceptual:
            self._perceptual.append(PerceptualLoss(config.perceptual_weights))

    @classmethod
    def make_enhancer(cls, config: ESRGANConfig) -> RRDBNet:
        """Build the generator."""
        return RRDBNet(config.scale, config.width, config.growth, config.blocks, config.narrowing, config.bicubic_skip)

    def enhancer(self) -> nn.Module:
        """Return the generator."""
        return self.generator

    def networks(self) -> dict[str, nn.Module]:
        """Return G and D."""
        return {"G": self.generator, "D": self.discriminator}

    def trainables(self) -> dict[str, nn.Module]:
        """Return the generator and the discriminator."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def loss_weights(self) -> dict[str, float]:
        """Return the weight of each term that there is."""
        weights = self.config.weights.model_dump()
        if not self._perceptual:
            weights.pop("perceptual")
        return weights

    def clinical_like(self, micro: Tensor) -> Tensor:
        """Return the reduced µCT with noise that ``degraded`` is trained on."""
        return shrink_and_add_noise(micro, self.config.scale, self.config.noise)

    def step(self, batch: Batch, backend: TrainingBackend) -> dict[str, Tensor]:
        """Update the generator, then the discriminator."""
        high = batch.micro
        low = batch.clinical if self.config.pairing == "unpaired" else self.clinical_like(high)
        sr = backend.forward("generator", low)
        self.discriminator.requires_grad_(False)
        with backend.autocast():
            real, fooled = self.discriminator.network(high), self.discriminator.network(sr)
        terms = {
            "pixel": distance(sr, high, self.config.pixel),
            "adversarial": relativistic_generator_loss(real.float(), fooled.float()),
        }
        for perceptual in self._perceptual:
            terms["perceptual"] = perceptual.to(high.device)(sr, high)
        weights = self.loss_weights()
        total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        backend.update("generator", total)
        self.discriminator.requires_grad_(True)
        logits = backend.forward("discriminator", high, sr.detach())
        found = {"discriminator": relativistic_discriminator_loss(*logits)}
        backend.update("discriminator", found["discriminator"])
        return {name: term.detach() for name, term in (terms | found | {"total": total}).items()}
