"""SR-UNIT with MMSR loss (SPIE 2020): two variational autoencoders that share a latent space on the coarse grid."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ctloupe.losses.adversarial import AdversarialKind, discriminator_loss, generator_loss
from ctloupe.losses.latent import unit_variance_divergence
from ctloupe.losses.mmsr import DistanceKind, distance, f_down, mmsr_terms
from ctloupe.losses.ssim import SSIMKind
from ctloupe.methods.base import Batch, Method, MethodConfig, TrainingBackend
from ctloupe.methods.cycle import TwoDiscriminators
from ctloupe.networks.blocks import initialise_icnr, initialise_normal
from ctloupe.networks.shared_latent import ClinicalDecoder, MicroEncoder, SharedLatentEnhancer, with_noise


class UnitWeights(BaseModel):
    """Weights of UNIT's own terms (Liu et al. 2017, Sec. 5) and of the MMSR terms (SPIE 2020, Eq. 4)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adversarial_micro: float = Field(1.0, ge=0)
    """x_SR should look like µCT."""
    adversarial_clinical: float = Field(1.0, ge=0)
    """y_LR should look like clinical CT."""
    divergence: float = Field(0.01, ge=0)
    """KL of the latents of x and y."""
    reconstruction: float = Field(10.0, ge=0)
    """|x − x from its own latent| + the same for y."""
    cycle_divergence: float = Field(0.01, ge=0)
    """KL of the latents of the translated images."""
    cycle: float = Field(10.0, ge=0)
    """|x − x translated twice| + the same for y."""
    ssim_clinical: float = Field(2.0, ge=0)
    """λ1, 1 − SSIM(x, f↓(x_SR))."""
    ssim_micro: float = Field(1.0, ge=0)
    """λ2, 1 − SSIM(y, f↑(y_LR))."""
    downsample: float = Field(1.0, ge=0)
    """λ3, d(x, f↓(x_SR))."""
    upsample: float = Field(1.0, ge=0)
    """λ4, d(y, f↑(y_LR))."""


class SRUnitConfig(MethodConfig):
    """Networks, losses and optimisation of SR-UNIT."""

    width: int = Field(256, ge=8)
    """Feature maps of the latent space; must be divisible by the scale."""
    blocks: int = Field(3, ge=1)
    """Residual blocks of each encoder and decoder, besides the shared one."""
    bicubic_skip: bool = False
    """The µCT decoder adds to the bicubic enlargement of a coarse image of the scene (not in the paper)."""
    discriminator_width: int = Field(64, ge=4)
    """Feature maps of the first convolution of each discriminator."""
    discriminator_strides: int = Field(3, ge=1, le=4)
    """Stride-2 convolutions of each discriminator."""
    initialisation_icnr: bool = False
    """Sub-pixel steps start without a checkerboard."""
    weights: UnitWeights = UnitWeights()
    """Weights of the loss terms."""
    adversarial: AdversarialKind = "log"
    """Kind of the adversarial loss."""
    distance: DistanceKind = "l2"
    """Distance of the down- and upsample terms."""
    ssim: SSIMKind = "global"
    """Window of the SSIM terms: the whole patch, or Gaussian windows."""


class Autoencoders(nn.Module):
    """Both autoencoders and their shared blocks with one forward for everything a step needs.

    Parameters
    ----------
    config
        See `SRUnitConfig`.
    enhancer
        Holds the clinical encoder, the shared blocks and the µCT decoder.
    """

    def __init__(self, config: SRUnitConfig, enhancer: SharedLatentEnhancer) -> None:
        super().__init__()
        self.scale = config.scale
        self.enhancer = enhancer
        self.micro_encoder = MicroEncoder(config.scale, config.width, config.blocks)
        self.clinical_decoder = ClinicalDecoder(config.width, config.blocks)

    def encoded_clinical(self, low: Tensor) -> Tensor:
        """Return the mean of the latent of a clinical image."""
        return self.enhancer.shared_encoder(self.enhancer.encoder(low))

    def encoded_micro(self, high: Tensor) -> Tensor:
        """Return the mean of the latent of a µCT image."""
        return self.enhancer.shared_encoder(self.micro_encoder(high))

    def as_clinical(self, latent: Tensor) -> Tensor:
        """Decode a latent to a clinical image."""
        return self.clinical_decoder(self.enhancer.shared_decoder(latent))

    def as_micro(self, latent: Tensor, coarse: Tensor) -> Tensor:
        """Decode a latent to a µCT image."""
        return self.enhancer.decoder(self.enhancer.shared_decoder(latent), coarse)

    def forward(self, low: Tensor, high: Tensor) -> dict[str, Tensor]:
        """Reconstruct, translate and translate back; noise is drawn on every latent."""
        low_mean, high_mean = self.encoded_clinical(low), self.encoded_micro(high)
        low_latent, high_latent = with_noise(low_mean), with_noise(high_mean)
        sr, shrunk = self.as_micro(low_latent, low), self.as_clinical(high_latent)
        sr_mean, shrunk_mean = self.encoded_micro(sr), self.encoded_clinical(shrunk)
        return {
            "sr": sr,
            "shrunk": shrunk,
            "low_again": self.as_clinical(low_latent),
            "high_again": self.as_micro(high_latent, f_down(high, self.scale)),
            "low_cycle": self.as_clinical(with_noise(sr_mean)),
            "high_cycle": self.as_micro(with_noise(shrunk_mean), shrunk),
            "low_mean": low_mean,
            "high_mean": high_mean,
            "sr_mean": sr_mean,
            "shrunk_mean": shrunk_mean,
        }


class SRUnit(Method):
    """UNIT whose domains have different sizes: three stride-2 steps into the latent space, three sub-pixel steps out.

    Parameters
    ----------
    config
        See `SRUnitConfig`.
    """

    name = "sr-unit"
    summary = "shared-latent-space translation (UNIT) with MMSR loss"
    reference = "SPIE 2020; UNIT: Liu et al. 2017, arXiv:1703.00848"
    Config = SRUnitConfig
    config: SRUnitConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 1e-4},
        "tiny": {
            "batch_size": 2,
            "width": 32,
            "blocks": 2,
            "bicubic_skip": True,
            "discriminator_width": 32,
            "discriminator_strides": 2,
            "initialisation_icnr": True,
            "learning_rate": 6e-4,
            "epochs": 10,
            "flips": True,
            "weights": {"downsample": 200.0, "adversarial_micro": 2.0, "cycle": 2.0, "reconstruction": 2.0},
        },
    }

    def __init__(self, config: SRUnitConfig) -> None:
        super().__init__(config)
        self.autoencoders = Autoencoders(config, self.make_enhancer(config))
        self.discriminators = TwoDiscriminators(config.discriminator_width, config.discriminator_strides)
        initialise_normal(self.autoencoders)
        initialise_normal(self.discriminators)
        if config.initialisation_icnr:
            initialise_icnr(self.autoencoders)

    @classmethod
    def make_enhancer(cls, config: SRUnitConfig) -> SharedLatentEnhancer:
        """Build E1, the shared blocks and G2."""
        return SharedLatentEnhancer(config.scale, config.width, config.blocks, config.bicubic_skip)

    def enhancer(self) -> nn.Module:
        """Return E1, the shared blocks and G2."""
        return self.autoencoders.enhancer

    def networks(self) -> dict[str, nn.Module]:
        """Return encoders, decoders, what they share, and the discriminators."""
        inside = self.autoencoders.enhancer
        return {
            "E_clinical": inside.encoder,
            "E_micro": self.autoencoders.micro_encoder,
            "E_shared": inside.shared_encoder,
            "G_shared": inside.shared_decoder,
            "G_clinical": self.autoencoders.clinical_decoder,
            "G_micro": inside.decoder,
            "D_micro": self.discriminators.b,
            "D_clinical": self.discriminators.a,
        }

    def trainables(self) -> dict[str, nn.Module]:
        """Return the autoencoders and the discriminators."""
        return {"generators": self.autoencoders, "discriminators": self.discriminators}

    def loss_weights(self) -> dict[str, float]:
        """Return λ by term."""
        return self.config.weights.model_dump()

    def clinical_like(self, micro: Tensor) -> Tensor:
        """Return the µCT decoded as a clinical image, from the mean of its latent."""
        return self.autoencoders.as_clinical(self.autoencoders.encoded_micro(micro))

    def step(self, batch: Batch, backend: TrainingBackend) -> dict[str, Tensor]:
        """Update the autoencoders, then the discriminators."""
        low, high = batch.clinical, batch.micro
        self.discriminators.requires_grad_(False)
        images = backend.forward("generators", low, high)
        with backend.autocast():
            fooled_micro, fooled_clinical = self.discriminators.b(images["sr"]), self.discriminators.a(images["shrunk"])
        terms = self._terms(low, high, images)
        terms["adversarial_micro"] = generator_loss(fooled_micro.float(), self.config.adversarial)
        terms["adversarial_clinical"] = generator_loss(fooled_clinical.float(), self.config.adversarial)
        weights = self.loss_weights()
        total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        backend.update("generators", total)
        self.discriminators.requires_grad_(True)
        logits = backend.forward("discriminators", low, images["shrunk"].detach(), high, images["sr"].detach())
        found = {
            "discriminator_clinical": discriminator_loss(logits[0], logits[1], self.config.adversarial),
            "discriminator_micro": discriminator_loss(logits[2], logits[3], self.config.adversarial),
        }
        backend.update("discriminators", found["discriminator_micro"] + found["discriminator_clinical"])
        return {name: term.detach() for name, term in (terms | found | {"total": total}).items()}

    def _terms(self, low: Tensor, high: Tensor, images: dict[str, Tensor]) -> dict[str, Tensor]:
        config = self.config
        terms = mmsr_terms(
            low, images["sr"], high, images["shrunk"], config.scale, ssim=config.ssim, metric=config.distance
        )
        divergence = {
            name: unit_variance_divergence(images[f"{name}_mean"]) for name in ("low", "high", "sr", "shrunk")
        }
        return terms | {
            "divergence": divergence["low"] + divergence["high"],
            "reconstruction": distance(low, images["low_again"], "l1") + distance(high, images["high_again"], "l1"),
            "cycle_divergence": divergence["sr"] + divergence["shrunk"],
            "cycle": distance(low, images["low_cycle"], "l1") + distance(high, images["high_cycle"], "l1"),
        }

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Return SR, and the µCT patch made clinical."""
        return {"SR": self.enhancer()(batch.clinical), "micro-CT as clinical": self.clinical_like(batch.micro)}
