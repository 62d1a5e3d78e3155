"""Physics-SRGAN: estimate the clinical scanner from its scans, degrade µCT with it, and learn the way back."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ctloupe.losses.adversarial import AdversarialKind
from ctloupe.losses.mmsr import DistanceKind, distance, f_down
from ctloupe.losses.ssim import ssim_gaussian
from ctloupe.methods.base import Batch, Method, MethodConfig, TrainingBackend
from ctloupe.methods.clinical_pairs import in_clinical_intensities
from ctloupe.methods.paired import DiscriminatorKind, PairDiscriminator, paired_step
from ctloupe.networks.blocks import initialise_icnr
from ctloupe.networks.plain import PlainSRNet
from ctloupe.scanner.estimate import estimate_scanner
from ctloupe.scanner.tensor_draw import near

SSIM_CONSTANTS = (0.02**2, 0.06**2)
"""C1 and C2 for images in [−1, 1] (Wang et al. 2004)."""
_PARAMETERS = ("blur", "noise", "rise", "roll_off", "gain", "offset", "misfit")


class PhysicsWeights(BaseModel):
    """Weights of the loss terms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pixel: float = Field(1.0, ge=0)
    """d(y, SR(LR))."""
    adversarial: float = Field(1e-3, ge=0)
    """−log D(SR(LR))."""
    consistency: float = Field(1.0, ge=0)
    """‖LR − f↓(SR(LR))‖²."""
    structure: float = Field(0.5, ge=0)
    """1 − SSIM(y, SR(LR)) in Gaussian windows."""


class PhysicsSRGANConfig(MethodConfig):
    """Network, degradation and losses of Physics-SRGAN."""

    width: int = Field(64, ge=4)
    """Feature maps at LR size."""
    blocks: int = Field(16, ge=1)
    """Residual blocks."""
    corrections: int = Field(3, ge=0, le=8)
    """Back-projections at the end of the network; each brings f↓(SR) nearer to the scan and undoes some deblurring."""
    correction_strength: float = Field(1.0, ge=0, le=1)
    """Share of the difference that each of them adds."""
    blur_range: float = Field(0.2, ge=0, lt=1)
    """Relative half-width of the random blur around the estimate."""
    noise_range: float = Field(0.5, ge=0, le=1)
    """Relative half-width of the random noise level around the estimate."""
    intensity_jitter: float = Field(0.02, ge=0, lt=1)
    """Standard deviation of random gain (relative) and offset around the estimate."""
    discriminator: DiscriminatorKind = "patch"
    """Kind of the discriminator: one logit an image, as in SRGAN, or one a patch."""
    discriminator_width: int = Field(64, ge=4)
    """Feature maps of the first convolution of the discriminator."""
    discriminator_strides: int = Field(3, ge=1, le=4)
    """Stride-2 convolutions of a ``patch`` discriminator."""
    weights: PhysicsWeights = PhysicsWeights()
    """Weights of the loss terms."""
    pixel: DistanceKind = "l1"
    """Distance of the pixel term."""
    adversarial: AdversarialKind = "log"
    """Kind of the adversarial loss."""


class PhysicsSRGAN(Method):
    """Supervised on pairs that an estimated scanner makes of µCT; no translation network is trained.

    Parameters
    ----------
    config
        See `PhysicsSRGANConfig`.
    """

    name = "physics-srgan"
    summary = "pairs by a scanner estimated from the clinical scans; supervised and consistent with the scan"
    reference = "this project"
    reads_slice_average = True
    needs_hu = True
    Config = PhysicsSRGANConfig
    config: PhysicsSRGANConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 2e-4, "betas": (0.9, 0.999), "batch_size": 16, "epochs": 200, "flips": True},
        "tiny": {
            "batch_size": 4,
            "blocks": 6,
            "discriminator_width": 16,
            "discriminator_strides": 2,
            "learning_rate": 1e-3,
            "betas": (0.9, 0.999),
            "epochs": 20,
            "flips": True,
        },
    }
    scanner: Tensor

    def __init__(self, config: PhysicsSRGANConfig) -> None:
        super().__init__(config)
        self.generator = self.make_enhancer(config)
        initialise_icnr(self.generator)
        self.discriminator = PairDiscriminator(
            config.discriminator, config.discriminator_width, config.discriminator_strides
        )
        # Until `examine` has seen the data: half a voxel of blur, no noise, equal intensities.
        self.register_buffer("scanner", torch.tensor([0.4, 0.0, 1.0, 0.3, 1.0, 0.0, 0.0]))

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        # Checkpoints of before hold the noise spectrum a second time, on the grid of a patch.
        state.pop(prefix + "noise_shape", None)
        super()._load_from_state_dict(state, prefix, *rest)

    @classmethod
    def make_enhancer(cls, config: PhysicsSRGANConfig) -> PlainSRNet:
        """Build the generator."""
        return PlainSRNet(
            config.scale,
            config.width,
            config.blocks,
            corrections=config.corrections,
            strength=config.correction_strength,
        )

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

    def examine(self, sample: Batch) -> None:
        """Estimate the scanner from clinical and µCT patches, and keep it in a buffer."""
        micro = sample.micro if sample.micro_slice_average is None else sample.micro_slice_average
        found = estimate_scanner(sample.clinical[:, 0].cpu().numpy(), micro[:, 0].cpu().numpy(), self.config.scale)
        self.scanner.copy_(torch.tensor([getattr(found, name) for name in _PARAMETERS]))

    def findings(self) -> dict[str, float]:
        """Return the estimated scanner."""
        return {name: round(value, 5) for name, value in zip(_PARAMETERS, self.scanner.tolist(), strict=True)}

    def degraded(self, thick: Tensor) -> Tensor:
        """Scan µCT patches ``(n, 1, s·p, s·p)``, already in clinical intensities, with a scanner near the estimate."""
        spread = self.scanner.new_tensor([self.config.blur_range, self.config.noise_range, 0.0, 0.0])
        return near(self.scanner[:4], spread, len(thick)).scanned(thick, self.config.scale)

    def clinical_intensities(self, micro: Tensor, gain: Tensor | float = 1.0, offset: Tensor | float = 0.0) -> Tensor:
        """Map µCT in [−1, 1] to the intensities it would have in the clinical scan."""
        return (micro * (self.scanner[4] * gain) + (self.scanner[5] + offset)).clamp(-1, 1)

    def clinical_like(self, micro: Tensor) -> Tensor:
        """Return µCT scanned with the estimated scanner."""
        return self.degraded(self.clinical_intensities(micro))

    def step(self, batch: Batch, backend: TrainingBackend) -> dict[str, Tensor]:
        """Update the generator, then the discriminator."""
        high, thick, _ = in_clinical_intensities(batch, self.config.intensity_jitter, self.clinical_intensities)
        low = self.degraded(thick)
        return paired_step(
            backend,
            self.discriminator,
            low,
            high,
            self.loss_weights(),
            pixel=self.config.pixel,
            adversarial=self.config.adversarial,
            more=lambda sr: {
                "consistency": distance(low, f_down(sr, self.config.scale)),
                "structure": 1 - ssim_gaussian(sr, high, SSIM_CONSTANTS).mean(),
            },
        )

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Return SR of the clinical patch, and a µCT patch scanned and brought back."""
        like = self.clinical_like(batch.micro if batch.micro_slice_average is None else batch.micro_slice_average)
        return {"SR": self.generator(batch.clinical), "SR of scanned micro-CT": self.generator(like)}
