"""SR-CycleGAN with MMSR loss: unpaired super-resolution from clinical CT to µCT (JMI 2022)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ctloupe.losses.adversarial import AdversarialKind, discriminator_loss, generator_loss
from ctloupe.losses.history import HistoryBuffer
from ctloupe.losses.mmsr import DistanceKind, corner_zoom, distance, f_down, f_up, mmsr_terms
from ctloupe.losses.ssim import SSIMKind
from ctloupe.methods.base import Batch, Method, MethodConfig, TrainingBackend
from ctloupe.networks.blocks import initialise_icnr, initialise_normal, steps_of_two
from ctloupe.networks.discriminators import PatchDiscriminator
from ctloupe.networks.generators import ShrinkingGenerator, StridedGenerator, SubPixelGenerator
from ctloupe.networks.translation import TranslationGenerator

DOWNBLOCKS = {"upblocks": 2, "downblocks": 3}
"""Number of downblocks in each kind of generator that has some."""


_RELEASED: dict[str, Any] = {
    "adversarial": "least-squares",
    "distance": "l1",
    "ssim": "gaussian-padded",
    "history": 50,
    "mixed_input": 4,
    "mixed_reduction": "corner-zoom",
    "identity_enlargement": "bilinear",
}
_RELEASED_WEIGHTS = {"identity_micro": 0.2, "identity_clinical": 0.02}


class LossWeights(BaseModel):
    """λ of each term (JMI 2022, Eq. 8); 0 leaves the term out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ssim_clinical: float = Field(1.0, ge=0)
    """λ1, 1 − SSIM(x, f↓(x_SR))."""
    ssim_micro: float = Field(1.0, ge=0)
    """λ2, 1 − SSIM(y, f↑(y_LR))."""
    downsample: float = Field(0.7, ge=0)
    """λ3, d(x, f↓(x_SR))."""
    upsample: float = Field(0.3, ge=0)
    """λ4, d(y, f↑(y_LR))."""
    adversarial_micro: float = Field(1.0, ge=0)
    """λ5, x_SR should look like µCT."""
    adversarial_clinical: float = Field(1.0, ge=0)
    """λ6, y_LR should look like clinical CT."""
    cycle: float = Field(1.0, ge=0)
    """λ7, d(x, G2(x_SR)) + d(y, G1(y_LR))."""
    identity_micro: float = Field(0.0, ge=0)
    """|f↓(G1(y)) − y|; only in the released code."""
    identity_clinical: float = Field(0.0, ge=0)
    """|f↑(G2(x)) − x|; only in the released code, which enlarges G2(x) bilinearly."""


class SRCycleGANConfig(MethodConfig):
    """Networks, losses and optimisation of SR-CycleGAN."""

    generator: Literal["subpixel", "upblocks", "downblocks"] = "subpixel"
    """G1: sub-pixel steps; CycleGAN's generator with two downblocks and further upblocks, as in the released code;
    or with three, which take 32×32 to 4×4 inside (SPIE 2020; Network1 and Network3 of JMI 2022, §2.3.1, Fig. 17a)."""
    width: int = Field(64, ge=4)
    """Feature maps of G1 at LR size."""
    blocks: int = Field(9, ge=1)
    """Residual blocks of G1."""
    first_kernel: Literal[3, 5, 7, 9] = 7
    """Size of the first convolution of G1."""
    last_kernel: Literal[3, 5, 7, 9] = 7
    """Size of the last convolution of G1."""
    bicubic_skip: bool = False
    """G1 adds its output to the bicubic enlargement (not in the paper)."""
    neck_padding: Literal["reflect", "zeros"] = "reflect"
    """Padding of G1's convolution behind the residual blocks. The released code reflects."""
    shrinking: Literal["paper", "strided"] = "paper"
    """G2 as in the paper, or with all its residual blocks at LR size."""
    shrinking_width: int = Field(64, ge=4)
    """Feature maps of G2: of its first convolution, or at LR size where it is ``strided``."""
    shrinking_blocks: int = Field(9, ge=1)
    """Residual blocks of G2."""
    discriminator_width: int = Field(64, ge=4)
    """Feature maps of the first convolution of each discriminator."""
    discriminator_strides: int = Field(3, ge=1, le=4)
    """Stride-2 convolutions of each discriminator."""
    discriminator_learning_rate: float | None = Field(None, gt=0)
    """Learning rate of the discriminators, where it differs from the generators'."""
    initialisation: Literal["normal", "icnr"] = "normal"
    """N(0, 0.02²) everywhere, or the same with sub-pixel steps that start without a checkerboard."""
    weights: LossWeights = LossWeights()
    """Weights of the loss terms."""
    adversarial: AdversarialKind = "log"
    """Kind of the adversarial loss."""
    distance: DistanceKind = "l2"
    """Distance of the cycle, downsample and upsample terms."""
    ssim: SSIMKind = "global"
    """Window of the SSIM terms: the whole patch, or Gaussian windows."""
    history: int = Field(0, ge=0)
    """Earlier images kept for each discriminator."""
    mixed_input: int = Field(0, ge=0)
    """Every n-th clinical patch is a reduced µCT patch instead; 0 for never."""
    mixed_reduction: Literal["average", "corner-zoom"] = "average"
    """How that is reduced: block averages, or the released code's cubic zoom, which aliases."""
    identity_enlargement: Literal["nearest", "bilinear"] = "nearest"
    """f↑ of the clinical identity term; the released code interpolates there."""


class Generators(nn.Module):
    """G1 and G2 with one forward for everything a step needs of them."""

    def __init__(self, g1: nn.Module, g2: nn.Module, identity: tuple[bool, bool]) -> None:
        super().__init__()
        self.g1, self.g2 = g1, g2
        self.identity = identity

    def forward(self, low: Tensor, high: Tensor) -> dict[str, Tensor]:
        """Translate both ways, back again and, where asked for, each domain's images by the other's network."""
        sr, shrunk = self.g1(low), self.g2(high)
        images = {"sr": sr, "shrunk": shrunk, "low_cycle": self.g2(sr), "high_cycle": self.g1(shrunk)}
        if self.identity[0]:
            images["high_identity"] = self.g1(high)
        if self.identity[1]:
            images["low_identity"] = self.g2(low)
        return images


class Discriminators(nn.Module):
    """A discriminator of µCT images and one of clinical images."""

    def __init__(self, width: int, strides: int) -> None:
        super().__init__()
        self.micro = PatchDiscriminator(width, strides)
        self.clinical = PatchDiscriminator(width, strides)

    def forward(self, high: Tensor, sr: Tensor, low: Tensor, shrunk: Tensor) -> tuple[Tensor, ...]:
        """Logits of real and generated µCT, then of real and generated clinical images."""
        return self.micro(high), self.micro(sr), self.clinical(low), self.clinical(shrunk)


class SRCycleGAN(Method):
    """Two generators of different size, two discriminators, and the MMSR loss that keeps structure and intensity.

    Parameters
    ----------
    config
        See `SRCycleGANConfig`.
    """

    name = "sr-cyclegan"
    summary = "unpaired super-resolution with MMSR loss and sub-pixel shuffling"
    reference = "JMI 2022, doi:10.1117/1.JMI.9.2.024003"
    Config = SRCycleGANConfig
    config: SRCycleGANConfig
    unsaid: ClassVar[dict[str, Any]] = {"neck_padding": "zeros"}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "jmi2022": {},
        "paper": {},
        "jmi2022-code": _RELEASED | {"weights": _RELEASED_WEIGHTS | {"downsample": 1.0, "upsample": 1.0}},
        "jmi2022-code-x4": _RELEASED | {"scale": 4, "weights": _RELEASED_WEIGHTS},
        "spie2020": {
            "generator": "downblocks",
            "weights": {"ssim_clinical": 2.0, "ssim_micro": 1.0, "downsample": 1.0, "upsample": 1.0},
        },
        "tiny": {
            "batch_size": 2,
            "blocks": 4,
            "bicubic_skip": True,
            "shrinking": "strided",
            "shrinking_width": 32,
            "shrinking_blocks": 3,
            "discriminator_width": 32,
            "discriminator_strides": 2,
            "initialisation": "icnr",
            "learning_rate": 6e-4,
            "epochs": 10,
            "flips": True,
            "weights": {"downsample": 200.0, "cycle": 2.0, "adversarial_micro": 2.0},
        },
    }

    def __init__(self, config: SRCycleGANConfig) -> None:
        super().__init__(config)
        self.generators = Generators(
            self.make_enhancer(config),
            _shrinking(config),
            (config.weights.identity_micro > 0, config.weights.identity_clinical > 0),
        )
        self.discriminators = Discriminators(config.discriminator_width, config.discriminator_strides)
        initialise_normal(self.generators)
        initialise_normal(self.discriminators)
        if config.initialisation == "icnr":
            initialise_icnr(self.generators.g1)
        self.past_micro = HistoryBuffer(config.history, seed=1)
        self.past_clinical = HistoryBuffer(config.history, seed=2)

    @classmethod
    def make_enhancer(cls, config: SRCycleGANConfig) -> nn.Module:
        """Build G1."""
        if config.generator == "subpixel":
            return SubPixelGenerator(
                config.scale,
                config.width,
                config.blocks,
                config.first_kernel,
                config.last_kernel,
                config.bicubic_skip,
                config.neck_padding,
            )
        return TranslationGenerator(
            config.width,
            config.blocks,
            DOWNBLOCKS[config.generator],
            steps_of_two(config.scale),
            config.first_kernel,
            config.last_kernel,
            skip=config.bicubic_skip,
        )

    def enhancer(self) -> nn.Module:
        """Return G1."""
        return self.generators.g1

    def networks(self) -> dict[str, nn.Module]:
        """Return G1, G2 and both discriminators."""
        return {
            "G1": self.generators.g1,
            "G2": self.generators.g2,
            "D_micro": self.discriminators.micro,
            "D_clinical": self.discriminators.clinical,
        }

    def trainables(self) -> dict[str, nn.Module]:
        """Return the generators and the discriminators."""
        return {"generators": self.generators, "discriminators": self.discriminators}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Return one Adam for each side."""
        found = super().optimisers()
        if self.config.discriminator_learning_rate is not None:
            for group in found["discriminators"].param_groups:
                group["lr"] = self.config.discriminator_learning_rate
        return found

    def clinical_like(self, micro: Tensor) -> Tensor:
        """Return G2(y)."""
        return self.generators.g2(micro)

    def loss_weights(self) -> dict[str, float]:
        """Return λ by term."""
        return self.config.weights.model_dump()

    def step(self, batch: Batch, backend: TrainingBackend) -> dict[str, Tensor]:
        """Update the generators, then the discriminators."""
        low, high = self._mixed(batch), batch.micro
        self.discriminators.requires_grad_(False)
        images = backend.forward("generators", low, high)
        with backend.autocast():
            fooled_micro = self.discriminators.micro(images["sr"])
            fooled_clinical = self.discriminators.clinical(images["shrunk"])
        terms = self._image_terms(low, high, images)
        terms["adversarial_micro"] = generator_loss(fooled_micro.float(), self.config.adversarial)
        terms["adversarial_clinical"] = generator_loss(fooled_clinical.float(), self.config.adversarial)
        weights = self.loss_weights()
        total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        backend.update("generators", total)
        self.discriminators.requires_grad_(True)

        past_sr, past_shrunk = self.past_micro(images["sr"]), self.past_clinical(images["shrunk"])
        logits = backend.forward("discriminators", high, past_sr, low, past_shrunk)
        found = {
            "discriminator_micro": discriminator_loss(logits[0], logits[1], self.config.adversarial),
            "discriminator_clinical": discriminator_loss(logits[2], logits[3], self.config.adversarial),
        }
        backend.update("discriminators", found["discriminator_micro"] + found["discriminator_clinical"])
        return {name: term.detach() for name, term in (terms | found | {"total": total}).items()}

    def _mixed(self, batch: Batch) -> Tensor:
        every = self.config.mixed_input
        if not every:
            return batch.clinical
        first = -(batch.position + 1) % every
        low = batch.clinical.clone()
        reduce = f_down if self.config.mixed_reduction == "average" else corner_zoom
        low[first::every] = reduce(batch.micro[first::every], self.config.scale).to(low.dtype)
        return low

    def _image_terms(self, low: Tensor, high: Tensor, images: dict[str, Tensor]) -> dict[str, Tensor]:
        config = self.config
        terms = mmsr_terms(
            low, images["sr"], high, images["shrunk"], config.scale, ssim=config.ssim, metric=config.distance
        )
        terms["cycle"] = distance(low, images["low_cycle"], config.distance) + distance(
            high, images["high_cycle"], config.distance
        )
        if "high_identity" in images:
            terms["identity_micro"] = distance(f_down(images["high_identity"], config.scale), high, "l1")
        if "low_identity" in images:
            shrunk, size = images["low_identity"], low.shape[-2:]
            terms["identity_clinical"] = distance(
                f_up(shrunk, config.scale)
                if config.identity_enlargement == "nearest"
                else F.interpolate(shrunk, size=size, mode="bilinear", align_corners=False),
                low,
                "l1",
            )
        return terms

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Return SR, the clinical image after its cycle, and the µCT patch made clinical."""
        sr, shrunk = self.generators.g1(batch.clinical), self.generators.g2(batch.micro)
        return {"SR": sr, "cycle G2(G1(x))": self.generators.g2(sr), "G2(micro-CT)": shrunk}


def _shrinking(config: SRCycleGANConfig) -> nn.Module:
    width, blocks = config.shrinking_width, config.shrinking_blocks
    if config.shrinking == "strided":
        return StridedGenerator(config.scale, width, blocks)
    return ShrinkingGenerator(config.scale, width, blocks)
