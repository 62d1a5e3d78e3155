"""Synthesised pairs (Synth 2020): a CycleGAN makes clinical-like images from µCT, SRGAN learns the way back."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ctloupe.losses.adversarial import AdversarialKind
from ctloupe.losses.mmsr import DistanceKind
from ctloupe.losses.ssim import ssim_loss
from ctloupe.methods.base import Batch, Method, MethodConfig, TrainingBackend
from ctloupe.methods.cycle import Translators, TwoDiscriminators, cycle_step
from ctloupe.methods.paired import DiscriminatorKind, PairDiscriminator, paired_step
from ctloupe.networks.blocks import initialise_icnr, initialise_normal, steps_of_two
from ctloupe.networks.degradations import gaussian_pyramid
from ctloupe.networks.srresnet import SRResNet
from ctloupe.networks.translation import TranslationGenerator

SYNTHESISE, SUPER_RESOLVE = "synthesise", "super-resolve"


class SynthesisWeights(BaseModel):
    """Weights of stage 1 (Synth 2020, Eq. 2)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adversarial_a: float = Field(1.0, ge=0)
    """G2(x) should look like reduced µCT."""
    adversarial_b: float = Field(1.0, ge=0)
    """G1(f(y)) should look like clinical CT."""
    cycle: float = Field(10.0, ge=0)
    """|f(y) − G2(G1(f(y)))| + |x − G1(G2(x))|, the weight of CycleGAN."""
    ssim_micro: float = Field(0.5, ge=0)
    """λ1, 1 − SSIM(f(y), G1(f(y)))."""
    ssim_clinical: float = Field(0.4, ge=0)
    """λ2, 1 − SSIM(x, G2(x))."""


class PairWeights(BaseModel):
    """Weights of stage 2 (Synth 2020, Eq. 5)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pixel: float = Field(1.0, ge=0)
    """‖y − G_S(G1(f(y)))‖²."""
    adversarial: float = Field(1e-3, ge=0)
    """λ, −log D_S(G_S(G1(f(y))))."""


class SynthSRGANConfig(MethodConfig):
    """Networks and losses of both stages."""

    translation_width: int = Field(64, ge=4)
    """Feature maps of G1 and G2."""
    translation_blocks: int = Field(9, ge=1)
    """Residual blocks of G1 and G2."""
    translation_skip: bool = False
    """G1 and G2 add their output to their input (not in the paper)."""
    translation_discriminator_width: int = Field(
        64, ge=4, validation_alias=AliasChoices("translation_discriminator_width", "judge_width")
    )
    """Feature maps of the first convolution of the two discriminators of stage 1."""
    translation_discriminator_strides: int = Field(
        3, ge=1, le=4, validation_alias=AliasChoices("translation_discriminator_strides", "judge_strides")
    )
    """Stride-2 convolutions of the two discriminators of stage 1."""
    synthesis: SynthesisWeights = SynthesisWeights()
    """Weights of the loss terms of stage 1."""
    synthesis_adversarial: AdversarialKind = "least-squares"
    """Kind of the adversarial loss of stage 1."""
    width: int = Field(64, ge=4)
    """Feature maps of G_S."""
    blocks: int = Field(16, ge=1)
    """Residual blocks of G_S."""
    narrowing: bool = False
    """Halve the width of G_S at each sub-pixel step."""
    bicubic_skip: bool = False
    """G_S adds its output to the bicubic enlargement (not in the paper)."""
    discriminator: DiscriminatorKind = "image"
    """Kind of D_S: one logit an image, as in SRGAN, or one a patch."""
    discriminator_width: int = Field(64, ge=4)
    """Feature maps of the first convolution of D_S."""
    discriminator_strides: int = Field(3, ge=1, le=4)
    """Stride-2 convolutions of a ``patch`` D_S."""
    pairs: PairWeights = PairWeights()
    """Weights of the loss terms of stage 2."""
    pixel: DistanceKind = "l2"
    """Distance of the pixel term of stage 2."""
    adversarial: AdversarialKind = "log"
    """Kind of the adversarial loss of stage 2."""


class SynthSRGAN(Method):
    """Two stages, each with networks and checkpoints of its own; the enhancer is trained by the second.

    Parameters
    ----------
    config
        See `SynthSRGANConfig`.
    """

    name = "synth-srgan"
    summary = "clinical-like images synthesised from µCT by a CycleGAN, then SRGAN on those pairs"
    reference = "Zheng et al. 2020, cross-modality super-resolution utilising a synthesised training dataset"
    stages = (SYNTHESISE, SUPER_RESOLVE)
    Config = SynthSRGANConfig
    config: SynthSRGANConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"batch_size": 64, "epochs": 200, "learning_rate": 2e-4},
        "tiny": {
            "batch_size": 4,
            "translation_width": 16,
            "translation_blocks": 3,
            "translation_skip": True,
            "translation_discriminator_width": 16,
            "translation_discriminator_strides": 2,
            "blocks": 4,
            "narrowing": True,
            "bicubic_skip": True,
            "discriminator": "patch",
            "discriminator_width": 32,
            "discriminator_strides": 2,
            "learning_rate": 6e-4,
            "epochs": 10,
            "flips": True,
        },
    }

    def __init__(self, config: SynthSRGANConfig) -> None:
        super().__init__(config)
        width, blocks = config.translation_width, config.translation_blocks
        self.translators = Translators(
            TranslationGenerator(width, blocks, skip=config.translation_skip),
            TranslationGenerator(width, blocks, skip=config.translation_skip),
        )
        self.discriminators = TwoDiscriminators(
            config.translation_discriminator_width, config.translation_discriminator_strides
        )
        initialise_normal(self.translators)
        initialise_normal(self.discriminators)
        self.generator = self.make_enhancer(config)
        initialise_icnr(self.generator)
        self.discriminator = PairDiscriminator(
            config.discriminator, config.discriminator_width, config.discriminator_strides
        )

    @classmethod
    def make_enhancer(cls, config: SynthSRGANConfig) -> SRResNet:
        """Build G_S."""
        return SRResNet(config.scale, config.width, config.blocks, config.narrowing, config.bicubic_skip)

    def enhancer(self) -> nn.Module:
        """Return G_S."""
        return self.generator

    def networks(self) -> dict[str, nn.Module]:
        """Return G1, G2, G_S and the three discriminators."""
        return {
            "G1": self.translators.forth,
            "G2": self.translators.back,
            "D1": self.discriminators.b,
            "D2": self.discriminators.a,
            "G_S": self.generator,
            "D_S": self.discriminator,
        }

    def trainables(self) -> dict[str, nn.Module]:
        """Return the two sides of the stage that is trained."""
        if self.stage == SYNTHESISE:
            return {"generators": self.translators, "discriminators": self.discriminators}
        return {"generator": self.generator, "discriminator": self.discriminator}

    def loss_weights(self) -> dict[str, float]:
        """Return the weight of each term of the stage that is trained."""
        return (self.config.synthesis if self.stage == SYNTHESISE else self.config.pairs).model_dump()

    def reduced(self, micro: Tensor) -> Tensor:
        """Return f(y): µCT after a Gaussian pyramid."""
        return gaussian_pyramid(micro, steps_of_two(self.config.scale))

    def clinical_like(self, micro: Tensor) -> Tensor:
        """Return G1(f(y))."""
        return self.translators.forth(self.reduced(micro))

    def step(self, batch: Batch, backend: TrainingBackend) -> dict[str, Tensor]:
        """Take one step of the stage that is trained."""
        if self.stage == SYNTHESISE:
            return self._synthesis_step(batch, backend)
        with torch.no_grad(), backend.autocast():
            low = self.clinical_like(batch.micro).float()
        config = self.config
        weights = self.loss_weights()
        return paired_step(
            backend, self.discriminator, low, batch.micro, weights, pixel=config.pixel, adversarial=config.adversarial
        )

    def _synthesis_step(self, batch: Batch, backend: TrainingBackend) -> dict[str, Tensor]:
        small, clinical = self.reduced(batch.micro), batch.clinical

        def ssim_terms(images: dict[str, Tensor]) -> dict[str, Tensor]:
            return {
                "ssim_micro": ssim_loss(small, images["b_of_a"]),
                "ssim_clinical": ssim_loss(clinical, images["a_of_b"]),
            }

        return cycle_step(
            backend,
            self.discriminators,
            small,
            clinical,
            self.loss_weights(),
            adversarial=self.config.synthesis_adversarial,
            more=ssim_terms,
        )

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Return, by stage, the translated images or the SR of clinical and of clinical-like patches."""
        like = self.clinical_like(batch.micro)
        if self.stage == SYNTHESISE:
            return {"G1(f(micro-CT))": like, "G2(clinical)": self.translators.back(batch.clinical)}
        return {"SR": self.generator(batch.clinical), "SR of G1(f(micro-CT))": self.generator(like)}
