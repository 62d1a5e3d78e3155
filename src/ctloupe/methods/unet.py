"""U-Net, supervised on µCT and its bicubic reduction with noise: a baseline of ISBI 2021."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor, nn

from ctloupe.losses.mmsr import DistanceKind, distance
from ctloupe.methods.base import Batch, Method, MethodConfig, TrainingBackend
from ctloupe.networks.degradations import shrink_and_add_noise
from ctloupe.networks.unet import EnlargeAndRefine


class UNetConfig(MethodConfig):
    """Network, degradation and loss of the U-Net."""

    levels: int = Field(4, ge=1, le=6)
    """Halvings of the contracting path."""
    width: int = Field(64, ge=4)
    """Feature maps at full size."""
    residual: bool = True
    """The network adds to the bicubic enlargement."""
    noise: float = Field(0.05, ge=0)
    """Standard deviation of the Gaussian noise on the reduced µCT, in units of [−1, 1]."""
    pixel: DistanceKind = "l2"
    """Distance of the pixel term."""


class UNetMethod(Method):
    """Learns to undo a bicubic reduction with Gaussian noise, on µCT alone; no clinical image is ever seen.

    Parameters
    ----------
    config
        See `UNetConfig`.
    """

    name = "unet"
    summary = "U-Net on the bicubic enlargement, supervised on degraded µCT"
    reference = "Ronneberger et al. 2015, arXiv:1505.04597; trained as in ISBI 2021"
    Config = UNetConfig
    config: UNetConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "learning_rate": 1e-4,
            "betas": (0.9, 0.999),
            "batch_size": 5,
            "epochs": 50,
            "constant_fraction": 1.0,
        },
        "tiny": {
            "batch_size": 2,
            "width": 8,
            "levels": 4,
            "learning_rate": 1e-3,
            "betas": (0.9, 0.999),
            "epochs": 10,
            "flips": True,
        },
    }

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        self.network = self.make_enhancer(config)

    @classmethod
    def make_enhancer(cls, config: UNetConfig) -> EnlargeAndRefine:
        """Build the enlargement with the U-Net behind it."""
        return EnlargeAndRefine(config.scale, config.levels, config.width, config.residual)

    def enhancer(self) -> nn.Module:
        """Return the enlargement with the U-Net behind it."""
        return self.network

    def networks(self) -> dict[str, nn.Module]:
        """Return the U-Net."""
        return {"U-Net": self.network.unet}

    def trainables(self) -> dict[str, nn.Module]:
        """Return the network."""
        return {"network": self.network}

    def loss_weights(self) -> dict[str, float]:
        """Return the only weight."""
        return {"pixel": 1.0}

    def clinical_like(self, micro: Tensor) -> Tensor:
        """Return the reduced µCT with noise that the network is trained on."""
        return shrink_and_add_noise(micro, self.config.scale, self.config.noise)

    def step(self, batch: Batch, backend: TrainingBackend) -> dict[str, Tensor]:
        """Update the network."""
        sr = backend.forward("network", self.clinical_like(batch.micro))
        total = distance(sr, batch.micro, self.config.pixel)
        backend.update("network", total)
        return {"pixel": total.detach(), "total": total.detach()}
