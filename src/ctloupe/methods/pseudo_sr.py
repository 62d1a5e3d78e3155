"""Pseudo-SR: an unpaired correction network and a super-resolution network on pseudo-pairs; a baseline of JMI 2022."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ctloupe.losses.adversarial import AdversarialKind, discriminator_loss, generator_loss
from ctloupe.losses.mmsr import distance
from ctloupe.methods.base import Batch, Method, MethodConfig, TrainingBackend
from ctloupe.methods.cycle import small_discriminator
from ctloupe.networks.attention import RCAN
from ctloupe.networks.bicubic import shrink_bicubic
from ctloupe.networks.blocks import initialise_icnr, initialise_normal
from ctloupe.networks.correction import AttentionTranslation, NoisyTranslation
from ctloupe.networks.discriminators import PatchDiscriminator
from ctloupe.networks.translation import CleanAndEnlarge, TranslationGenerator


class PseudoSRWeights(BaseModel):
    """Weights of the correction (Maeda 2020, Eq. 7) and of the SR network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adversarial_clean: float = Field(1.0, ge=0)
    """F(x) should look like reduced µCT."""
    adversarial_clinical: float = Field(1.0, ge=0)
    """G(y↓) should look like clinical CT."""
    adversarial_micro: float = Field(1.0, ge=0)
    """U(F(x)) should look like µCT; trains F alone."""
    cycle: float = Field(1.0, ge=0)
    """|F(G(y↓)) − y↓|."""
    identity: float = Field(1.0, ge=0)
    """|F(y↓) − y↓|."""
    geometry: float = Field(1.0, ge=0)
    """|F(x) − mean of F over the eight turns and flips, turned back|."""
    pixel: float = Field(1.0, ge=0)
    """|U(F(G(y↓))) − y|, trains U alone."""


class PseudoSRConfig(MethodConfig):
    """Networks and losses of pseudo-SR."""

    layout: Literal["noise", "translation"] = "noise"
    """``noise``: F with channel attention, G with noise as a second input, discriminators at LR size without stride, as
    in the paper; ``translation``: F and G of CycleGAN's blocks, and strides in every discriminator."""
    width: int = Field(64, ge=4, multiple_of=4)
    """Feature maps of F and G."""
    blocks: int = Field(6, ge=1)
    """Residual blocks of G, and of F in the layout ``translation``."""
    clean_groups: int = Field(5, ge=1)
    """Residual groups of F."""
    clean_blocks: int = Field(10, ge=1)
    """Attention blocks in each group of F."""
    clean_skip: bool = False
    """F and G add their output to their input (not in the paper)."""
    sr_width: int = Field(64, ge=4)
    """Feature maps of U (RCAN)."""
    sr_groups: int = Field(10, ge=1)
    """Residual groups of U."""
    sr_blocks: int = Field(20, ge=1)
    """Attention blocks in each group of U."""
    narrowing: bool = False
    """Halve the width of U at each sub-pixel step."""
    bicubic_skip: bool = False
    """U adds to the bicubic enlargement (not in the paper)."""
    discriminator_width: int = Field(64, ge=4)
    """Feature maps of the first convolution of each discriminator."""
    discriminator_strides: int = Field(3, ge=1, le=4)
    """Stride-2 convolutions of the discriminator at HR; those at LR have stride 1, or are two at most in the layout
    ``translation``."""
    weights: PseudoSRWeights = PseudoSRWeights()
    """Weights of the loss terms."""
    adversarial: AdversarialKind = "least-squares"
    """Kind of the adversarial loss."""


class Corrections(nn.Module):
    """F cleans clinical images, G makes clean ones clinical."""

    def __init__(self, clean: nn.Module, spoil: nn.Module) -> None:
        super().__init__()
        self.clean, self.spoil = clean, spoil

    def forward(self, low: Tensor, small: Tensor) -> dict[str, Tensor]:
        """Run F on x in all eight orientations, G on y↓ and back, and F on y↓."""
        count = len(low)
        turned = torch.cat([_turned(low, index) for index in range(8)])
        cleaned = self.clean(torch.cat([turned, small]))
        spoilt = self.spoil(small)
        parts = cleaned[: 8 * count].chunk(8)
        upright = torch.stack([_turned_back(part, index) for index, part in enumerate(parts)])
        return {
            "clean": parts[0],
            "clean_mean": upright.mean(0),
            "same": cleaned[8 * count :],
            "spoilt": spoilt,
            "cycle": self.clean(spoilt),
        }


class ThreeDiscriminators(nn.Module):
    """Discriminators of clean LR, clinical LR and µCT images."""

    def __init__(self, width: int, strides: int, whole: bool) -> None:
        super().__init__()
        self.clean = small_discriminator(width, strides, whole)
        self.clinical = small_discriminator(width, strides, whole)
        self.micro = PatchDiscriminator(width, strides)

    def forward(self, *pairs: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Logits of (real, generated) for clean, clinical and µCT images, given as six tensors."""
        networks = (self.clean, self.clinical, self.micro)
        return [(net(pairs[2 * i]), net(pairs[2 * i + 1])) for i, net in enumerate(networks)]


class PseudoSR(Method):
    """F and G learn without pairs; U learns from F(G(y↓)) and y, and its loss does not reach F and G.

    Parameters
    ----------
    config
        See `PseudoSRConfig`.
    """

    name = "pseudo-sr"
    summary = "unpaired correction network, then super-resolution on pseudo-pairs"
    reference = "Maeda 2020 (CVPR), arXiv:2002.11397; as a baseline in JMI 2022"
    Config = PseudoSRConfig
    config: PseudoSRConfig
    unsaid: ClassVar[dict[str, Any]] = {"layout": "translation"}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 1e-4, "batch_size": 16},
        "tiny": {
            "batch_size": 2,
            "width": 16,
            "blocks": 2,
            "clean_groups": 2,
            "clean_blocks": 2,
            "clean_skip": True,
            "sr_width": 64,
            "sr_groups": 2,
            "sr_blocks": 2,
            "narrowing": True,
            "bicubic_skip": True,
            "discriminator_width": 32,
            "discriminator_strides": 2,
            "learning_rate": 4e-4,
            "epochs": 10,
            "flips": True,
        },
    }

    def __init__(self, config: PseudoSRConfig) -> None:
        super().__init__(config)
        self.super_resolution = self.make_enhancer(config)
        as_in_paper = config.layout == "noise"
        spoil = (
            NoisyTranslation(config.width, config.blocks, skip=config.clean_skip)
            if as_in_paper
            else TranslationGenerator(config.width, config.blocks, downs=0, skip=config.clean_skip)
        )
        self.corrections = Corrections(self.super_resolution.clean, spoil)
        self.discriminators = ThreeDiscriminators(config.discriminator_width, config.discriminator_strides, as_in_paper)
        if not as_in_paper:
            initialise_normal(self.corrections)
        initialise_normal(self.discriminators)
        initialise_icnr(self.super_resolution.enlarge)

    @classmethod
    def make_enhancer(cls, config: PseudoSRConfig) -> CleanAndEnlarge:
        """Build F and U."""
        clean = (
            AttentionTranslation(config.width, config.clean_groups, config.clean_blocks, config.clean_skip)
            if config.layout == "noise"
            else TranslationGenerator(config.width, config.blocks, downs=0, skip=config.clean_skip)
        )
        enlarge = RCAN(
            config.scale,
            config.sr_width,
            config.sr_groups,
            config.sr_blocks,
            config.narrowing,
            config.bicubic_skip,
        )
        return CleanAndEnlarge(clean, enlarge)

    def enhancer(self) -> nn.Module:
        """Return F followed by U."""
        return self.super_resolution

    def networks(self) -> dict[str, nn.Module]:
        """Return F, G, U and the three discriminators."""
        return {
            "F": self.corrections.clean,
            "G": self.corrections.spoil,
            "U": self.super_resolution.enlarge,
            "D_clean": self.discriminators.clean,
            "D_clinical": self.discriminators.clinical,
            "D_micro": self.discriminators.micro,
        }

    def trainables(self) -> dict[str, nn.Module]:
        """Return the corrections, the SR network and the discriminators."""
        return {
            "corrections": self.corrections,
            "enlargement": self.super_resolution.enlarge,
            "discriminators": self.discriminators,
        }

    def loss_weights(self) -> dict[str, float]:
        """Return the weight of each term."""
        return self.config.weights.model_dump()

    def clinical_like(self, micro: Tensor) -> Tensor:
        """Return G(y↓)."""
        return self.corrections.spoil(self._reduced(micro))

    def _reduced(self, micro: Tensor) -> Tensor:
        return shrink_bicubic(micro, self.config.scale).clamp(-1, 1)

    def step(self, batch: Batch, backend: TrainingBackend) -> dict[str, Tensor]:
        """Update the corrections, then the SR network, then the discriminators."""
        low, high, kind = batch.clinical, batch.micro, self.config.adversarial
        small = self._reduced(high)
        weights = self.loss_weights()
        self.discriminators.requires_grad_(False)
        self.super_resolution.enlarge.requires_grad_(False)
        images = backend.forward("corrections", low, small)
        with backend.autocast():
            sr = self.super_resolution.enlarge(images["clean"])
            fooled = (
                self.discriminators.clean(images["clean"]),
                self.discriminators.clinical(images["spoilt"]),
                self.discriminators.micro(sr),
            )
        terms = {
            "adversarial_clean": generator_loss(fooled[0].float(), kind),
            "adversarial_clinical": generator_loss(fooled[1].float(), kind),
            "adversarial_micro": generator_loss(fooled[2].float(), kind),
            "cycle": distance(images["cycle"], small, "l1"),
            "identity": distance(images["same"], small, "l1"),
            "geometry": distance(images["clean"], images["clean_mean"], "l1"),
        }
        correction = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        backend.update("corrections", correction)

        self.super_resolution.enlarge.requires_grad_(True)
        terms["pixel"] = distance(backend.forward("enlargement", images["cycle"].detach()), high, "l1")
        backend.update("enlargement", weights["pixel"] * terms["pixel"])

        self.discriminators.requires_grad_(True)
        real_and_made = small, images["clean"], low, images["spoilt"], high, sr.float()
        logits = backend.forward("discriminators", *(image.detach() for image in real_and_made))
        names = ("clean", "clinical", "micro")
        found = {
            f"discriminator_{name}": discriminator_loss(real, made, kind)
            for name, (real, made) in zip(names, logits, strict=True)
        }
        backend.update("discriminators", torch.stack(list(found.values())).sum())
        total = correction.detach() + weights["pixel"] * terms["pixel"].detach()
        return {name: term.detach() for name, term in (terms | found | {"total": total}).items()}

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Return SR, the cleaned clinical patch and the µCT patch made clinical."""
        return {
            "SR": self.super_resolution(batch.clinical),
            "F(clinical)": self.corrections.clean(batch.clinical),
            "G(micro-CT)": self.clinical_like(batch.micro),
        }


def _turned(image: Tensor, index: int) -> Tensor:
    """Apply one of the eight turns and flips of a square."""
    turned = torch.rot90(image, index % 4, (-2, -1))
    return turned.flip(-1) if index >= 4 else turned


def _turned_back(image: Tensor, index: int) -> Tensor:
    """Undo `_turned`."""
    upright = image.flip(-1) if index >= 4 else image
    return torch.rot90(upright, -(index % 4), (-2, -1))
