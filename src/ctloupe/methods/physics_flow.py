"""Physics-Flow: pairs from a range of simulated scanners, the posterior mean, and samples by a texture or a flow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ctloupe.foundation.errors import OptionError
from ctloupe.losses.mesh import mesh_power
from ctloupe.methods.base import Batch, Method, MethodConfig, TrainingBackend
from ctloupe.methods.clinical_pairs import in_clinical_intensities
from ctloupe.methods.clipped_adamw import ClippedAdamW
from ctloupe.methods.orthogonal_adamw import OrthogonalAdamW
from ctloupe.methods.smooth_tissue import SmoothTissue
from ctloupe.methods.texture_step import TextureWeights, cut_alike, texture_step
from ctloupe.networks.average import as_average, follow
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.flow.deviation import DeviationHead, coverage_loss, spread_by_value
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.networks.flow.network import SCANNER_NUMBERS, FlowNetwork
from ctloupe.networks.flow.texture import TextureDiscriminator, TextureHead
from ctloupe.networks.neighbours import slice_alone
from ctloupe.scanner.anatomy import AnatomySpectra
from ctloupe.scanner.estimate import estimate_scanner
from ctloupe.scanner.tensor_draw import DrawnScanners, ScannerRange, near
from ctloupe.scanner.thin_plane import thin_plane_power

_ESTIMATED = (*SCANNER_NUMBERS, "gain", "offset", "misfit")
_OURS: dict[str, Any] = {"flips": True, "deviation": True, "texture": True, "mean_fraction": 1.0}
_NEAR = (0.2, 0.5, 0.0, 0.2)
"""Relative half-widths of the scanners that are drawn around the estimate: of blur, noise, rise and roll-off."""
_ADVERSARIAL_BETAS = (0.5, 0.99)
_DISCRIMINATORS_SHARE = 0.5
"""Learning rate of the discriminator over the texture's: one that learns faster leaves it nothing to learn by."""


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
    overshoot_range: tuple[float, float] = (0.0, 1.6)
    """How much sharp kernels sharpen what they have blurred; see `DrawnScanners`."""
    overshoot_fraction: float = Field(0.0, ge=0, le=1)
    """Share of the scanners that have a sharp kernel, of which the network is told the blur that is alike."""
    near_fraction: float = Field(0.5, ge=0, le=1)
    """Share of the scanners that are drawn around the one estimated from the clinical patches."""
    intensity_jitter: float = Field(0.02, ge=0, lt=1)
    """Standard deviation of random gain (relative) and offset around the estimate."""
    smooth_tissue: float = Field(0.1, ge=0, le=1)
    """Share of the µCT patches into which large smooth structures are laid."""
    spread: float = Field(0.5, gt=0)
    """Standard deviation of the noise that a sample begins with, in units of [−1, 1]."""
    mean_fraction: float = Field(0.25, gt=0, le=1)
    """Share of a batch at time 0, from which the posterior mean is learnt; with 1, which needs `texture`, all of it."""
    largest_weight: float = Field(16.0, ge=1)
    """Limit of the weight 1/(1 − t)² of the error at time t."""
    mesh: float = Field(10.0, ge=0)
    """Weight of the power of what errors have in common from one scan voxel to the next."""
    deviation: bool = False
    """Whether a head learns the standard deviation of the mean's errors."""
    contrast_range: float = Field(1.5, ge=1)
    """Factor by which the contrasts that deviation and texture learn from differ at most from the estimated one."""
    texture: bool = False
    """Whether samples are the mean and a texture that is drawn at once, learnt against a discriminator."""
    texture_width: int = Field(64, ge=4)
    """Feature maps of the texture on the grid of twice the scan's resolution."""
    texture_fine_width: int = Field(24, ge=4)
    """Feature maps of the texture on the grid of four times the scan's resolution."""
    texture_blocks: int = Field(2, ge=0)
    """Residual blocks on it."""
    texture_discriminator_width: int = Field(48, ge=4)
    """Feature maps of the first convolution of the texture's discriminator."""
    texture_rate: float = Field(2e-3, gt=0)
    """Learning rate of the texture; that of its discriminator is half of it."""
    texture_area: int = Field(16, ge=1)
    """Side in clinical pixels of the part of a patch that the texture learns from in each step."""
    texture_weights: TextureWeights = TextureWeights()
    """Weights of what the texture is trained by."""
    average: float = Field(0.999, ge=0, lt=1)
    """Decay of the moving average of the weights, which is what is kept."""
    gradient_limit: float = Field(0.3, gt=0)
    """Largest norm of a gradient."""
    orthogonal_rate: float = Field(2.0, ge=0)
    """Learning rate of the inner convolutions by Muon, as a multiple of `learning_rate`; 0: AdamW trains them."""


class PhysicsFlow(Method):
    """Posterior mean and samples, learnt on pairs that scanners of a whole range make of µCT and told the scanner.

    Parameters
    ----------
    config
        See `PhysicsFlowConfig`.

    Notes
    -----
    Samples are the mean and a texture that is drawn at once (`ctloupe.methods.texture_step`), or the steps of a flow.
    Flow matching (Lipman et al. 2023, arXiv:2210.02747) along straight lines (rectified flow, Liu et al. 2023,
    arXiv:2209.03003): x_t = (1 − t)·ε + t·x, of which the network predicts x; the squared error is weighted by
    1/(1 − t)², which makes it that of the velocity.
    """

    name = "physics-flow"
    summary = "pairs of simulated scanners, told the scan's own; the posterior mean, and samples about it"
    reference = "this project"
    reads_slice_average = True
    needs_hu = True
    Config = PhysicsFlowConfig
    config: PhysicsFlowConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 8e-4, "betas": (0.9, 0.999), "batch_size": 16, "epochs": 400} | _OURS,
        "tiny": {"learning_rate": 8e-4, "betas": (0.9, 0.999), "batch_size": 4, "epochs": 20} | _OURS,
    }
    average: FlowEnhancer
    estimate: Tensor
    steps: Tensor

    def __init__(self, config: PhysicsFlowConfig) -> None:
        super().__init__(config)
        if config.mean_fraction == 1 and not config.texture:
            raise OptionError("mean_fraction 1: without a flow nothing makes samples; set texture=true, or less than 1")
        shipped = self.make_enhancer(config)
        self.network = shipped.flow
        self.head, self.texture = shipped.head, shipped.texture
        self.discriminator = TextureDiscriminator(config.texture_discriminator_width) if config.texture else None
        self.average = as_average(shipped)
        if config.mean_fraction == 1:
            self.network.leave_guesses()
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
        head = texture = None
        # What the flow draws while it is trained does not depend on what there is beside it.
        with torch.random.fork_rng():
            if config.deviation:
                head = DeviationHead(config.fine_width, config.scale // 2)
            if config.texture:
                widths = config.texture_width, config.texture_fine_width
                texture = TextureHead(config.fine_width, config.scale // 2, *widths, config.texture_blocks)
        return FlowEnhancer(flow, config.patch_size, config.spread, head, texture)

    @property
    def reads_neighbours(self) -> bool:
        """Whether the network looks at neighbouring slices."""
        return self.config.neighbours

    def enhancer(self) -> nn.Module:
        """Return the moving average of the network."""
        return self.average

    def networks(self) -> dict[str, nn.Module]:
        """Return the network, and what there is beside it: for the deviation, for texture, and its discriminator."""
        beside = {"deviation": self.head, "texture": self.texture, "discriminator": self.discriminator}
        return {"flow": self.network} | {name: one for name, one in beside.items() if one is not None}

    def trainables(self) -> dict[str, nn.Module]:
        """Return what `networks` returns."""
        return self.networks()

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Return AdamW with limited gradients, Muon for the flow's inner convolutions."""
        config, made = self.config, dict[str, torch.optim.Optimizer]()
        for name, network in self.trainables().items():
            if name in ("texture", "discriminator"):
                rate = config.texture_rate * (1.0 if name == "texture" else _DISCRIMINATORS_SHARE)
                options = {"lr": rate, "betas": _ADVERSARIAL_BETAS, "weight_decay": 0.0, "fused": True}
                made[name] = ClippedAdamW(network.parameters(), 1.0, **options)
            else:
                options = {"lr": config.learning_rate, "betas": config.betas, "weight_decay": 0.0, "fused": True}
                limit, weights = config.gradient_limit, network.parameters()
                if name == "flow" and config.orthogonal_rate:
                    inner = self.network.inner_weights()
                    made[name] = OrthogonalAdamW(weights, inner, limit, config.orthogonal_rate, **options)
                else:
                    made[name] = ClippedAdamW(weights, limit, **options)
        return made

    def loss_weights(self) -> dict[str, float]:
        """Return the weight of each term of the flow; what is learnt beside it has losses of its own."""
        share = self.config.mean_fraction
        return {"mean": share, "flow": 1 - share, "mesh": self.config.mesh}

    def examine(self, sample: Batch) -> None:
        """Estimate the scanner of the clinical patches, and keep the spectra by which that of a scan is found."""
        micro = sample.micro if sample.micro_slice_average is None else sample.micro_slice_average
        fine, scale = micro[:, 0].cpu().numpy(), self.config.scale
        spectra = AnatomySpectra.of(fine, scale)
        found = estimate_scanner(sample.clinical[:, 0].cpu().numpy(), fine, scale, spectra)
        self.estimate.copy_(torch.tensor([getattr(found, name) for name in _ESTIMATED]))
        self.average.scanner.copy_(self.estimate[: len(SCANNER_NUMBERS)])
        self.average.set_spectra(spectra)
        if self.head is not None:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                high, low, _ = self._pairs(sample, self.config.contrast_range)
            self.average.prior.copy_(spread_by_value(enlarge_bicubic(slice_alone(low), scale), high))
        if sample.micro_slice_average is not None:
            power = thin_plane_power(sample.micro[:, 0].cpu().numpy(), fine, scale)
            self.average.thin_plane.copy_(torch.from_numpy(power * found.gain**2).nan_to_num())
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
        first = self._of_the_mean(len(high))
        time = self._times(len(high), first, high.device)
        guess = None
        if first < len(high):
            guess = torch.lerp(config.spread * torch.randn_like(difference), difference, time.view(-1, 1, 1, 1))
        error = backend.forward("flow", scan, guess, time, told) - difference
        by_image = error.square().mean((1, 2, 3)) / (1 - time).square().clamp_min(1 / config.largest_weight)
        terms = {"mesh": mesh_power(error, config.scale)}
        terms |= {"mean": by_image[:first].mean()} if first else {}
        terms |= {"flow": by_image[first:].mean()} if first < len(high) else {}
        weights = self.loss_weights()
        total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        backend.update("flow", total)
        self.steps += 1
        follow(self.average.flow, self.network, self.steps, config.average)
        terms["total"] = total
        if first and not (self.head is None and self.texture is None):
            with torch.random.fork_rng():
                # Half of them are enough for what is small and learns fast.
                terms |= self._learn_beside(batch.first((first + 1) // 2), backend)
        return {name: term.detach() for name, term in terms.items()}

    def _of_the_mean(self, count: int) -> int:
        """How many images of a batch are for the mean: at least one of either kind, where there are two."""
        share = self.config.mean_fraction
        return count if share == 1 else min(max(1, round(share * count)), count - 1)

    def _learn_beside(self, batch: Batch, backend: TrainingBackend) -> dict[str, Tensor]:
        """Update deviation and texture by the mean that is kept: by its errors, and the features that it is made of.

        Their pairs have contrasts of a range, since that of a patient is only about the one that was estimated.
        """
        config, flow = self.config, self.average.flow
        high, scan, told = self._pairs(batch, config.contrast_range)
        with torch.no_grad(), backend.autocast():
            condition = flow.condition(torch.zeros_like(told[:, 0]), told)
            fine = flow.fine(flow.coarse(scan, condition), condition)
            mean = enlarge_bicubic(slice_alone(scan), config.scale) + flow.painted(fine)
        terms: dict[str, Tensor] = {}
        if self.head is not None and self.average.head is not None:
            terms["deviation"] = coverage_loss(backend.forward("deviation", fine), mean.clamp(-1, 1) - high)
            backend.update("deviation", terms["deviation"])
            follow(self.average.head, self.head, self.steps, config.average)
        if self.texture is not None and self.discriminator is not None and self.average.texture is not None:
            features, about, real = cut_alike((fine, mean, high), config.texture_area)
            terms |= texture_step(
                backend, self.discriminator, features, about, real, config.scale, config.texture_weights
            )
            follow(self.average.texture, self.texture, self.steps, config.average)
        return terms

    def _pairs(self, batch: Batch, contrast_range: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        """µCT in clinical intensities, its scans, and what the network is told of the scanners that made them.

        The contrast about the mean of each patch is multiplied by up to `contrast_range`, or divided by it.
        """
        high, thick, beside = in_clinical_intensities(batch, self.config.intensity_jitter, self.clinical_intensities)
        count, scale = len(high), self.config.scale
        if self.config.smooth_tissue:
            tissue = SmoothTissue.draw(high, self.config.smooth_tissue)
            high, thick = tissue.laid_into(high), tissue.laid_into(thick)
            beside = None if beside is None else tissue.laid_into(beside)
        if contrast_range > 1:
            contrast = contrast_range ** (2 * torch.rand(count, 1, 1, 1, device=high.device) - 1)
            middle = high.mean((1, 2, 3), keepdim=True)
            high, thick = (torch.lerp(middle, one, contrast).clamp(-1, 1) for one in (high, thick))
            beside = None if beside is None else torch.lerp(middle, beside, contrast).clamp(-1, 1)
        scanners = self._some_sharpened(self.scanners(count))
        scan, told = scanners.scanned(thick, scale), scanners.numbers()
        if not self.config.neighbours:
            return high, scan, told
        if beside is None or batch.micro_slice_spacing is None:
            raise OptionError("this network looks at neighbouring slices, and the batch has none")
        # Each slice is scanned for itself: their noise is independent.
        scans = [scan, *(scanners.scanned(one, scale) for one in beside.split(1, 1))]
        return high, torch.cat(scans, 1), torch.cat([told, batch.micro_slice_spacing[:, None]], 1)

    def _some_sharpened(self, scanners: DrawnScanners) -> DrawnScanners:
        """The scanners, of which some overshoot at edges."""
        if not self.config.overshoot_fraction:
            return scanners
        low, high = self.config.overshoot_range
        chosen = torch.rand_like(scanners.blur) < self.config.overshoot_fraction
        return replace(scanners, overshoot=(low + (high - low) * torch.rand_like(scanners.blur)) * chosen)

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
