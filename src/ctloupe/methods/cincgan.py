"""CinCGAN: a cycle that cleans clinical images inside a cycle that enlarges them; a baseline of JMI 2022."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ctloupe.losses.adversarial import AdversarialKind, discriminator_loss, generator_loss
from ctloupe.losses.mmsr import distance
from ctloupe.losses.variation import total_variation
from ctloupe.methods.base import Batch, Method, MethodConfig, TrainingBackend
from ctloupe.methods.cycle import TwoDiscriminators, small_discriminator
from ctloupe.methods.paired import PairDiscriminator
from ctloupe.networks.bicubic import shrink_bicubic
from ctloupe.networks.blocks import initialise_icnr, initialise_normal, steps_of_two
from ctloupe.networks.correction import BareTranslation
from ctloupe.networks.generators import StridedGenerator
from ctloupe.networks.plain import PlainSRNet
from ctloupe.networks.translation import CleanAndEnlarge, TranslationGenerator

INNER, JOINT = "inner", "joint"


class CinCGANWeights(BaseModel):
    """Weights of the inner cycle (w of CinCGAN, Eq. 5), the outer one (λ, Eq. 10), and of the pre-training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adversarial_clinical: float = Field(1.0, ge=0)
    """G1(x) should look like clean µCT at LR size."""
    cycle: float = Field(10.0, ge=0)
    """w1, ‖G2(G1(x)) − x‖²."""
    identity: float = Field(5.0, ge=0)
    """w2, |G1(y↓) − y↓|."""
    variation: float = Field(0.5, ge=0)
    """w3, total variation of G1(x)."""
    pretraining: float = Field(1.0, ge=0)
    """|SR(y↓) − y| while the inner cycle is trained."""
    adversarial_micro: float = Field(1.0, ge=0)
    """SR(G1(x)) should look like µCT."""
    outer_cycle: float = Field(10.0, ge=0)
    """λ1, ‖G3(SR(G1(x))) − x‖²."""
    outer_identity: float = Field(5.0, ge=0)
    """λ2, |SR(y↓) − y|."""
    outer_variation: float = Field(2.0, ge=0)
    """λ3, total variation of SR(G1(x))."""


class CinCGANConfig(MethodConfig):
    """Networks and losses of CinCGAN."""

    layout: Literal["bare", "normalised"] = "bare"
    """``bare``: G1, G2 and G3 without normalisation, discriminators at LR size without stride, as in the paper;
    ``normalised``: CycleGAN's blocks, and strides in every discriminator."""
    width: int = Field(64, ge=4)
    """Feature maps of G1, G2 and G3."""
    blocks: int = Field(6, ge=1)
    """Residual blocks of G1, G2 and G3."""
    clean_skip: bool = False
    """G1 and G2 add their output to their input (not in the paper)."""
    sr_width: int = Field(256, ge=4)
    """Feature maps of the SR network (EDSR)."""
    sr_blocks: int = Field(10, ge=1)
    """Residual blocks of the SR network."""
    narrowing: bool = False
    """Halve the width of the SR network at each sub-pixel step."""
    bicubic_skip: bool = False
    """The SR network adds to the bicubic enlargement (not in the paper)."""
    discriminator_width: int = Field(64, ge=4)
    """Feature maps of the first convolution of each discriminator."""
    discriminator_strides: int = Field(3, ge=1, le=4)
    """Stride-2 convolutions of D2; those of D1, at LR size, have stride 1, or are two at most where normalised."""
    weights: CinCGANWeights = CinCGANWeights()
    """Weights of the loss terms."""
    adversarial: AdversarialKind = "least-squares"
    """Kind of the adversarial loss."""


class InnerCycle(nn.Module):
    """G1, G2 and the SR network, which is not yet connected to them."""

    def __init__(self, enhancer: CleanAndEnlarge, back: nn.Module) -> None:
        super().__init__()
        self.enhancer, self.back = enhancer, back

    def forward(self, low: Tensor, small: Tensor) -> dict[str, Tensor]:
        """Clean and bring back x, clean what is clean already, enlarge y↓."""
        clean = self.enhancer.clean(low)
        return {
            "clean": clean,
            "low_cycle": self.back(clean),
            "same": self.enhancer.clean(small),
            "enlarged": self.enhancer.enlarge(small),
        }


class BothCycles(nn.Module):
    """The inner cycle and G3 behind it."""

    def __init__(self, inner: InnerCycle, shrink: nn.Module) -> None:
        super().__init__()
        self.inner, self.shrink = inner, shrink

    def forward(self, low: Tensor, small: Tensor) -> dict[str, Tensor]:
        """Do what the inner cycle does, then enlarge the cleaned x and bring it back."""
        images = self.inner(low, small)
        sr = self.inner.enhancer.enlarge(images["clean"])
        return images | {"sr": sr, "low_outer": self.shrink(sr)}


class CinCGAN(Method):
    """Stage ``inner`` trains the cleaning cycle and the SR network apart, stage ``joint`` everything together.

    Parameters
    ----------
    config
        See `CinCGANConfig`.
    """

    name = "cincgan"
    summary = "cycle-in-cycle: clean the clinical image, then enlarge it"
    reference = "Yuan et al. 2018, arXiv:1809.00437; as a baseline in JMI 2022"
    stages = (INNER, JOINT)
    Config = CinCGANConfig
    config: CinCGANConfig
    unsaid: ClassVar[dict[str, Any]] = {"layout": "normalised"}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 2e-4, "batch_size": 16},
        "tiny": {
            "batch_size": 2,
            "width": 32,
            "blocks": 3,
            "clean_skip": True,
            "sr_width": 64,
            "sr_blocks": 4,
            "narrowing": True,
            "bicubic_skip": True,
            "discriminator_width": 32,
            "discriminator_strides": 2,
            "learning_rate": 4e-4,
            "epochs": 10,
            "flips": True,
        },
    }

    def __init__(self, config: CinCGANConfig) -> None:
        super().__init__(config)
        back, shrink = _translation(config), _shrinking(config)
        self.inner = InnerCycle(self.make_enhancer(config), back)
        self.both = BothCycles(self.inner, shrink)
        width, strides = config.discriminator_width, config.discriminator_strides
        self.discriminators = TwoDiscriminators(width, strides)
        self.discriminators.a = small_discriminator(width, strides, config.layout == "bare")
        self.inner_discriminator = PairDiscriminator("patch", width, strides)
        self.inner_discriminator.network = self.discriminators.a
        initialise_normal(self.discriminators)
        if config.layout == "normalised":
            # What has no normalisation keeps the weights that PyTorch draws: N(0, 0.02²) would fade on the way.
            for network in (self.inner.enhancer.clean, back, shrink):
                initialise_normal(network)
        initialise_icnr(self.inner.enhancer.enlarge)

    @classmethod
    def make_enhancer(cls, config: CinCGANConfig) -> CleanAndEnlarge:
        """Build G1 and the SR network."""
        enlarge = PlainSRNet(
            config.scale,
            config.sr_width,
            config.sr_blocks,
            scaling=0.1,
            narrowing=config.narrowing,
            bicubic_skip=config.bicubic_skip,
        )
        return CleanAndEnlarge(_translation(config), enlarge)

    def enhancer(self) -> nn.Module:
        """Return G1 followed by the SR network."""
        return self.inner.enhancer

    def networks(self) -> dict[str, nn.Module]:
        """Return G1, G2, G3, SR and both discriminators."""
        return {
            "G1": self.inner.enhancer.clean,
            "G2": self.inner.back,
            "SR": self.inner.enhancer.enlarge,
            "G3": self.both.shrink,
            "D1": self.discriminators.a,
            "D2": self.discriminators.b,
        }

    def trainables(self) -> dict[str, nn.Module]:
        """Return generators and discriminators of the stage that is trained."""
        if self.stage == INNER:
            return {"generators": self.inner, "discriminators": self.inner_discriminator}
        return {"generators": self.both, "discriminators": self.discriminators}

    def loss_weights(self) -> dict[str, float]:
        """Return the weight of each term of the stage that is trained."""
        weights = self.config.weights.model_dump()
        outer = ("adversarial_micro", "outer_cycle", "outer_identity", "outer_variation")
        unused = outer if self.stage == INNER else ("pretraining",)
        return {name: weight for name, weight in weights.items() if name not in unused}

    def step(self, batch: Batch, backend: TrainingBackend) -> dict[str, Tensor]:
        """Update the generators, then the discriminators, of the stage that is trained."""
        low, high = batch.clinical, batch.micro
        small = shrink_bicubic(high, self.config.scale).clamp(-1, 1)
        self.discriminators.requires_grad_(False)
        images = backend.forward("generators", low, small)
        with backend.autocast():
            fooled = [self.discriminators.a(images["clean"])]
            if self.stage == JOINT:
                fooled.append(self.discriminators.b(images["sr"]))
        terms = self._terms(low, small, high, images)
        for name, logits in zip(("adversarial_clinical", "adversarial_micro"), fooled, strict=False):
            terms[name] = generator_loss(logits.float(), self.config.adversarial)
        weights = self.loss_weights()
        total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        backend.update("generators", total)
        self.discriminators.requires_grad_(True)
        found = self._logits(backend, small, high, images)
        backend.update("discriminators", torch.stack(list(found.values())).sum())
        return {name: term.detach() for name, term in (terms | found | {"total": total}).items()}

    def _terms(self, low: Tensor, small: Tensor, high: Tensor, images: dict[str, Tensor]) -> dict[str, Tensor]:
        terms = {
            "cycle": distance(low, images["low_cycle"]),
            "identity": distance(small, images["same"], "l1"),
            "variation": total_variation(images["clean"]),
        }
        enlarged = distance(high, images["enlarged"], "l1")
        if self.stage == INNER:
            return terms | {"pretraining": enlarged}
        return terms | {
            "outer_cycle": distance(low, images["low_outer"]),
            "outer_identity": enlarged,
            "outer_variation": total_variation(images["sr"]),
        }

    def _logits(
        self, backend: TrainingBackend, small: Tensor, high: Tensor, images: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        kind, clean = self.config.adversarial, images["clean"].detach()
        if self.stage == INNER:
            logits = backend.forward("discriminators", small, clean)
            return {"discriminator_clinical": discriminator_loss(logits[0], logits[1], kind)}
        logits = backend.forward("discriminators", small, clean, high, images["sr"].detach())
        return {
            "discriminator_clinical": discriminator_loss(logits[0], logits[1], kind),
            "discriminator_micro": discriminator_loss(logits[2], logits[3], kind),
        }

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Return SR and the cleaned clinical patch."""
        return {"SR": self.enhancer()(batch.clinical), "G1(clinical)": self.inner.enhancer.clean(batch.clinical)}


def _translation(config: CinCGANConfig) -> nn.Module:
    """Build G1 or G2."""
    if config.layout == "bare":
        return BareTranslation(config.width, config.blocks, skip=config.clean_skip)
    return TranslationGenerator(config.width, config.blocks, downs=0, skip=config.clean_skip)


def _shrinking(config: CinCGANConfig) -> nn.Module:
    """Build G3."""
    if config.layout == "bare":
        return BareTranslation(config.width, config.blocks, steps_of_two(config.scale))
    return StridedGenerator(config.scale, config.width, config.blocks)
