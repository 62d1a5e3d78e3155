"""Physics-Flow: pairs from a range of simulated scanners, and a flow whose start is the posterior mean."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ctloupe.foundation.errors import OptionError
from ctloupe.losses.mesh import mesh_power
from ctloupe.methods.base import Batch, Method, MethodConfig, TrainingBackend
from ctloupe.methods.clipped_adamw import ClippedAdamW
from ctloupe.networks.average import as_average, follow
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.networks.flow.network import SCANNER_NUMBERS, FlowNetwork
from ctloupe.networks.neighbours import slice_alone
from ctloupe.scanner.estimate import AnatomySpectra, estimate_scanner
from ctloupe.scanner.tensor_draw import DrawnScanners, ScannerRange, near

_ESTIMATED = (*SCANNER_NUMBERS, "gain", "offset", "misfit")
_NEAR = (0.2, 0.5, 0.0, 0.2)
"""Relative half-widths of the scanners that are drawn around the estimate: of blur, noise, rise and roll-off."""


class PhysicsFlowConfig(MethodConfig):
    """Network, scanners and losses of Physics-Flow."""

    width: int = Field(96, ge=4)
    """Feature maps on the scan's grid."""
    blocks: int = Field(6, ge=1)
    """Residual blocks on the scan's grid."""
    fine_width: int = Field(32, ge=4)
    """Feature maps on the grid of twice the scan's resolution."""
    fine_blocks: int = Field(2, ge=1)
    """Residual blocks on it, before the output."""
    condition: int = Field(64, ge=4)
    """Length of what time and scanner are turned into."""
    neighbours: bool = False
    """Whether the network looks at the slices below and above too; the bank must have them."""
    blur_range: tuple[float, float] = (0.0, 1.1)
    """Blurs of the scanners, in clinical voxels."""
    noise_range: tuple[float, float] = (0.0, 0.09)
    """Standard deviations of their noise, in units of [−1, 1]."""
    near_fraction: float = Field(0.5, ge=0, le=1)
    """Share of the scanners that are drawn around the one estimated from the clinical patches."""
    intensity_jitter: float = Field(0.02, ge=0, lt=1)
    """Standard deviation of random gain (relative) and offset around the estimate."""
    spread: float = Field(0.5, gt=0)
    """Standard deviation of the noise that a sample begins with, in units of [−1, 1]."""
    mean_fraction: float = Field(0.25, gt=0, lt=1)
    """Share of a batch at time 0, from which the posterior mean is learnt."""
    largest_weight: float = Field(16.0, ge=1)
    """Limit of the weight 1/(1 − t)² of the error at time t."""
    mesh: float = Field(10.0, ge=0)
    """Weight of the power of what errors have in common from one scan voxel to the next."""
    average: float = Field(0.999, ge=0, lt=1)
    """Decay of the moving average of the weights, which is what is kept."""
    gradient_limit: float = Field(0.3, gt=0)
    """Largest norm of a gradient."""


class PhysicsFlow(Method):
    """Conditional flow matching on pairs that scanners of a whole range make of µCT; the network is told the scanner.

    Parameters
    ----------
    config
        See `PhysicsFlowConfig`.

    Notes
    -----
    Flow matching (Lipman et al. 2023, arXiv:2210.02747) along straight lines (rectified flow, Liu et al. 2023,
    arXiv:2209.03003): x_t = (1 − t)·ε + t·x, of which the network predicts x; the squared error is weighted by
    1/(1 − t)², which makes it that of the velocity.
    """

    name = "physics-flow"
    summary = "flow on pairs of simulated scanners, told the scan's own; the posterior mean, and samples of it"
    reference = "this project"
    reads_slice_average = True
    Config = PhysicsFlowConfig
    config: PhysicsFlowConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 8e-4, "betas": (0.9, 0.999), "batch_size": 16, "epochs": 400, "flips": True},
        "tiny": {"learning_rate": 8e-4, "betas": (0.9, 0.999), "batch_size": 8, "epochs": 20, "flips": True},
    }
    average: FlowEnhancer
    estimate: Tensor
    steps: Tensor

    def __init__(self, config: PhysicsFlowConfig) -> None:
        super().__init__(config)
        shipped = self.make_enhancer(config)
        self.network = shipped.flow
        self.average = as_average(shipped)
        # Until `examine` has seen the data: half a voxel of blur, no noise, equal intensities.
        self.register_buffer("estimate", torch.tensor([0.4, 0.0, 1.0, 0.3, 1.0, 0.0, 0.0]))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @classmethod
    def make_enhancer(cls, config: PhysicsFlowConfig) -> FlowEnhancer:
        """Build the network with the scanner that it is told."""
        flow = FlowNetwork(
            config.scale,
            config.width,
            config.blocks,
            config.fine_width,
            config.fine_blocks,
            config.condition,
            config.neighbours,
        )
        return FlowEnhancer(flow, config.patch_size, config.spread)

    @property
    def reads_neighbours(self) -> bool:
        """Whether the network looks at neighbouring slices."""
        return self.config.neighbours

    def enhancer(self) -> nn.Module:
        """Return the moving average of the network."""
        return self.average

    def networks(self) -> dict[str, nn.Module]:
        """Return the network."""
        return {"flow": self.network}

    def trainables(self) -> dict[str, nn.Module]:
        """Return the network."""
        return {"flow": self.network}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Return AdamW with limited gradients."""
        config = self.config
        made = ClippedAdamW(
            self.network.parameters(),
            config.gradient_limit,
            lr=config.learning_rate,
            betas=config.betas,
            weight_decay=0.0,
            fused=True,
        )
        return {"flow": made}

    def loss_weights(self) -> dict[str, float]:
        """Return the weight of each term."""
        return {"mean": self.config.mean_fraction, "flow": 1 - self.config.mean_fraction, "mesh": self.config.mesh}

    def examine(self, sample: Batch) -> None:
        """Estimate the scanner of the clinical patches, and keep the spectra by which that of a scan is found."""
        micro = sample.micro if sample.micro_slice_average is None else sample.micro_slice_average
        fine, scale = micro[:, 0].cpu().numpy(), self.config.scale
        spectra = AnatomySpectra.of(fine, scale)
        found = estimate_scanner(sample.clinical[:, 0].cpu().numpy(), fine, scale, spectra)
        self.estimate.copy_(torch.tensor([getattr(found, name) for name in _ESTIMATED]))
        self.average.scanner.copy_(self.estimate[: len(SCANNER_NUMBERS)])
        self.average.anatomy.copy_(torch.from_numpy(spectra.power))
        if sample.micro_slice_spacing is not None:
            self.average.slice_spacing.copy_(sample.micro_slice_spacing.mean())
            self.average.slice_spacings.copy_(torch.stack(sample.micro_slice_spacing.aminmax()))

    def findings(self) -> dict[str, float]:
        """Return the estimated scanner."""
        return {name: round(value, 5) for name, value in zip(_ESTIMATED, self.estimate.tolist(), strict=True)}

    def clinical_intensities(self, micro: Tensor, gain: Tensor | float = 1.0, offset: Tensor | float = 0.0) -> Tensor:
        """Map µCT in [−1, 1] to the intensities it would have in the clinical scan."""
        return (micro * (self.estimate[4] * gain) + (self.estimate[5] + offset)).clamp(-1, 1)

    def clinical_like(self, micro: Tensor) -> Tensor:
        """Return µCT scanned with the estimated scanner."""
        scanner = self.estimate[: len(SCANNER_NUMBERS)].expand(len(micro), -1)
        return DrawnScanners(*scanner.unbind(1)).scanned(self.clinical_intensities(micro), self.config.scale)

    def scanners(self, count: int) -> DrawnScanners:
        """Draw scanners: some around the estimate, the others from the whole range."""
        config = self.config
        anywhere = ScannerRange(config.blur_range, config.noise_range).draw(count, self.estimate)
        close = near(self.estimate[: len(SCANNER_NUMBERS)], self.estimate.new_tensor(_NEAR), count)
        chosen = torch.rand(count, device=self.estimate.device) < config.near_fraction
        return DrawnScanners(*torch.where(chosen[:, None], close.numbers(), anywhere.numbers()).unbind(1))

    def step(self, batch: Batch, backend: TrainingBackend) -> dict[str, Tensor]:
        """Update the network, and its average."""
        config = self.config
        high, scan, told = self._pairs(batch)
        difference = high - enlarge_bicubic(slice_alone(scan), config.scale)
        # At least one image of either kind, where there are two.
        first = min(max(1, round(config.mean_fraction * len(high))), len(high) - 1)
        time = self._times(len(high), first, high.device)
        at = time.view(-1, 1, 1, 1)
        guess = torch.lerp(config.spread * torch.randn_like(difference), difference, at)
        error = backend.forward("flow", scan, guess, time, told) - difference
        by_image = error.square().mean((1, 2, 3)) / (1 - time).square().clamp_min(1 / config.largest_weight)
        terms = {"flow": by_image[first:].mean(), "mesh": mesh_power(error, config.scale)}
        if first:
            terms["mean"] = by_image[:first].mean()
        weights = self.loss_weights()
        total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        backend.update("flow", total)
        self.steps += 1
        follow(self.average.flow, self.network, self.steps, config.average)
        return {name: term.detach() for name, term in (terms | {"total": total}).items()}

    def _pairs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """µCT in clinical intensities, its scans, and what the network is told of the scanners that made them."""
        jitter, count = self.config.intensity_jitter, len(batch.micro)
        gain = 1 + jitter * torch.randn(count, 1, 1, 1, device=batch.micro.device)
        offset = jitter * torch.randn(count, 1, 1, 1, device=batch.micro.device)
        high = self.clinical_intensities(batch.micro, gain, offset)
        thick = high
        if batch.micro_slice_average is not None:
            thick = self.clinical_intensities(batch.micro_slice_average, gain, offset)
        scanners, scale = self.scanners(count), self.config.scale
        scan, told = scanners.scanned(thick, scale), scanners.numbers()
        if not self.config.neighbours:
            return high, scan, told
        if batch.micro_neighbours is None or batch.micro_slice_spacing is None:
            raise OptionError("this network looks at neighbouring slices, and the batch has none")
        beside = self.clinical_intensities(batch.micro_neighbours, gain, offset)
        # Each slice is scanned for itself: their noise is independent.
        scans = [scan, *(scanners.scanned(one, scale) for one in beside.split(1, 1))]
        return high, torch.cat(scans, 1), torch.cat([told, batch.micro_slice_spacing[:, None]], 1)

    def _times(self, count: int, first: int, device: torch.device) -> Tensor:
        """Times of a batch: the first ones 0, the others logit-normal (Esser et al. 2024, arXiv:2403.03206)."""
        later = torch.sigmoid(torch.randn(count - first, device=device))
        return torch.cat([torch.zeros(first, device=device), later])

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Return SR of the clinical patch, and a µCT patch scanned and brought back."""
        like = self.clinical_like(batch.micro if batch.micro_slice_average is None else batch.micro_slice_average)
        clinical = [one for one in (batch.clinical, batch.clinical_neighbours) if one is not None]
        return {"SR": self.average(torch.cat(clinical, 1)), "SR of scanned micro-CT": self.average(like)}
