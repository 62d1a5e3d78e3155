"""SRGAN, supervised on µCT and its bicubic reduction with noise: a baseline of ISBI 2021."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ctloupe.losses.adversarial import AdversarialKind
from ctloupe.losses.mmsr import DistanceKind
from ctloupe.methods.base import Batch, Method, MethodConfig, TrainingBackend
from ctloupe.methods.paired import DiscriminatorKind, PairDiscriminator, paired_step
from ctloupe.networks.blocks import initialise_icnr
from ctloupe.networks.degradations import shrink_and_add_noise
from ctloupe.networks.srresnet import SRResNet


class SRGANWeights(BaseModel):
    """Weights of the loss terms (SRGAN, Eq. 3, with the pixel term in the place of VGG features)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pixel: float = Field(1.0, ge=0)
    """d(y, SR(LR))."""
    adversarial: float = Field(1e-3, ge=0)
    """−log D(SR(LR))."""


class SRGANConfig(MethodConfig):
    """Networks, degradation and losses of SRGAN."""

    width: int = Field(64, ge=4)
    """Feature maps of the generator."""
    blocks: int = Field(16, ge=1)
    """Residual blocks."""
    narrowing: bool = False
    """Halve the width at each sub-pixel step."""
    bicubic_skip: bool = False
    """Add the output to the bicubic enlargement (not in the paper)."""
    discriminator: DiscriminatorKind = "image"
    """Kind of the discriminator: one logit an image, as in SRGAN, or one a patch."""
    discriminator_width: int = Field(64, ge=4)
    """Feature maps of the first convolution of the discriminator."""
    discriminator_strides: int = Field(3, ge=1, le=4)
    """Stride-2 convolutions of a ``patch`` discriminator."""
    noise: float = Field(0.05, ge=0)
    """Standard deviation of the Gaussian noise on the reduced µCT, in units of [−1, 1]."""
    weights: SRGANWeights = SRGANWeights()
    """Weights of the loss terms."""
    pixel: DistanceKind = "l2"
    """Distance of the pixel term."""
    adversarial: AdversarialKind = "log"
    """Kind of the adversarial loss."""


class SRGAN(Method):
    """Learns to undo a bicubic reduction with Gaussian noise, on µCT alone; no clinical image is ever seen.

    Parameters
    ----------
    config
        See `SRGANConfig`.
    """

    name = "srgan"
    summary = "supervised on µCT and its bicubic reduction with Gaussian noise"
    reference = "Ledig et al. 2017, arXiv:1609.04802; trained as in ISBI 2021"
    Config = SRGANConfig
    config: SRGANConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "learning_rate": 1e-4,
            "betas": (0.9, 0.999),
            "batch_size": 5,
            "epochs": 50,
            "constant_fraction": 1.0,
        },
        "tiny": {
            "batch_size": 4,
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

    def __init__(self, config: SRGANConfig) -> None:
        super().__init__(config)
        self.generator = self.make_enhancer(config)
        initialise_icnr(self.generator)
        self.discriminator = PairDiscriminator(
            config.discriminator, config.discriminator_width, config.discriminator_strides
        )

    @classmethod
    def make_enhancer(cls, config: SRGANConfig) -> SRResNet:
        """Build the generator."""
        return SRResNet(config.scale, config.width, config.blocks, config.narrowing, config.bicubic_skip)

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
        """Return the weight of each term."""
        return self.config.weights.model_dump()

    def clinical_like(self, micro: Tensor) -> Tensor:
        """Return the reduced µCT with noise that the generator is trained on."""
        return shrink_and_add_noise(micro, self.config.scale, self.config.noise)

    def step(self, batch: Batch, backend: TrainingBackend) -> dict[str, Tensor]:
        """Update the generator, then the discriminator."""
        return paired_step(
            backend,
            self.discriminator,
            self.clinical_like(batch.micro),
            batch.micro,
            self.loss_weights(),
            pixel=self.config.pixel,
            adversarial=self.config.adversarial,
        )
