"""A trained model applied to volumes: calibration, whole slices, Hounsfield units, geometry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ctloupe import methods
from ctloupe.enhance.blending import BLEND_MM
from ctloupe.enhance.exact import Engine, EngineOptions, EnhancedSlice
from ctloupe.enhance.network.calibrate import calibrated
from ctloupe.enhance.patchwise import Patchwise
from ctloupe.enhance.plan import choose_tile
from ctloupe.enhance.region import Region
from ctloupe.enhance.store.stream import Summary
from ctloupe.foundation.errors import GeometryError, IntensityError, ModelError, OptionError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.images.likeness import Spread, Unlikeness, image_statistics_of, unlikeness
from ctloupe.images.windows import CLINICAL, IntensityWindow
from ctloupe.methods.package import Fingerprint, load_package
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.dropout import MonteCarloDropout, is_stochastic, sampling
from ctloupe.prepare.masks import MaskKind
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.geometry import refined_grid
from ctloupe.volume.volume import LazyArray, Volume

Statistics = Literal["calibrated", "slice", "patches"]
STATISTICS: Final[tuple[Statistics, ...]] = get_args(Statistics)
Mask = NDArray[np.bool_]

Worker = Engine | Patchwise

CALIBRATION_PATCHES: Final = 64
CALIBRATION_SLICES: Final = 16
"""Slices, evenly spread over those with something in the mask, that the patches come from."""

ROUNDING_PATCHES: Final = 8
WITHOUT_CLIPPING: Final = IntensityWindow(-32768, 32767)
"""For interpolations, which are linear and must not be cut off at a window."""


@dataclass(frozen=True)
class SuperResolver:
    """A model ready to enhance volumes.

    Attributes
    ----------
    name
        For messages and histories.
    enhancer
        Maps ``(n, 1, h, w)`` in [−1, 1] to ``(n, 1, s·h, s·w)``; None for plain bicubic interpolation.
    scale
        In-plane enlargement s.
    window
        Between HU and [−1, 1].
    trained_spacing
        In-plane (y, x) mm of the clinical patches; None when it does not matter.
    patch_size
        Side of a clinical training patch.
    device
        Where the network runs.
    statistics
        ``calibrated``: normalisation statistics once per volume (the default); ``slice``: each slice's own;
        ``patches``: independent patches, as in the papers, for comparison.
    seed
        Of the calibration sample and of dropout.
    samples
        Passes with different dropout masks that are averaged; 0: one pass without dropout.
    match_histograms, median
        Of ``patches``: give each generated patch the histogram of its enlarged clinical patch, and a median filter
        of so many pixels over each slice (1: none), as ISBI 2021 hides the grid.
    consistent
        Correct each slice so that the mean of every s×s block equals the scan inside the mask.
    blend
        Distance in mm over which the result goes over into the bicubic interpolation at the border of the mask;
        0: at once.
    blend_outside
        Whether it does so outside of the mask, which is then enhanced fully, instead of inside.
    options
        How the engine works; see there.
    trained_on
        What the training data looked like; None when it does not matter.
    training
        What the model card says of the training: method, steps, seed.
    micro_window
        Of the µCT it was trained on; None without training.
    trained_mask
        Kind of the mask that the clinical patches were drawn in; None without training.
    """

    name: str
    enhancer: nn.Module | None
    scale: int
    window: IntensityWindow = CLINICAL
    trained_spacing: tuple[float, float] | None = None
    patch_size: int = 32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    statistics: Statistics = "calibrated"
    seed: int = 0
    samples: int = 0
    match_histograms: bool = False
    median: int = 1
    consistent: bool = False
    blend: float = BLEND_MM
    blend_outside: bool = False
    options: EngineOptions = field(default_factory=EngineOptions)
    trained_on: Fingerprint | None = None
    training: dict[str, Any] = field(default_factory=dict)
    micro_window: IntensityWindow | None = None
    trained_mask: MaskKind | None = None

    def __post_init__(self) -> None:
        if self.samples and (self.enhancer is None or not is_stochastic(self.enhancer)):
            raise OptionError(
                f"`samples` {self.samples}: model {self.name} has no dropout, so that all its passes are equal; "
                "leave `samples` out, or train bayes-cyclegan"
            )
        if (self.match_histograms or self.median > 1) and self.statistics != "patches":
            raise OptionError("`match_histograms` and `median` belong to `stitch` patches; without it there is no grid")
        if self.consistent and self.statistics != "calibrated":
            raise OptionError("`consistent` belongs to `stitch` calibrated")
        if self.median < 1 or self.median % 2 == 0:
            raise OptionError(f"`median` {self.median}: expected an odd number of pixels, for instance 3")
        if not 0 <= self.blend < float("inf"):
            raise OptionError(f"`blend` {self.blend:g}: expected a distance in mm, 0 for a hard border")

    def enhance(
        self,
        volume: Volume,
        mask: Mask | None = None,
        region: Region | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Volume:
        """Enhance `volume` in memory; the same as `enhanced_lazily` with the voxels computed."""
        lazy = self.enhanced_lazily(volume, mask, region, progress)
        return replace(lazy, data=np.asarray(lazy.data))

    def enhance_to(
        self,
        volume: Volume,
        path: Path | str,
        mask: Mask | None = None,
        region: Region | None = None,
        progress: Callable[[int], None] | None = None,
        overwrite: bool = False,
        uncertainty: Path | str | None = None,
        **how: Any,
    ) -> Summary:
        """Enhance `volume` slice by slice into the file or store `path`; its suffix says the format.

        Parameters
        ----------
        volume, mask, region, progress
            As in `enhanced_lazily`.
        path
            An OME-Zarr store is streamed and can be resumed; see `ctloupe.enhance.job.enhance_volume`.
        overwrite
            Whether what is there may be replaced.
        uncertainty
            With `samples`: a second output, with the standard deviation of the passes in HU.
        how
            Further options of `enhance_volume`.

        Returns
        -------
        Summary
            Consistency with the scan, and the share of tiles that were skipped.
        """
        from ctloupe.enhance.job import enhance_volume

        return enhance_volume(
            self, volume, path, mask, region, progress=progress, overwrite=overwrite, uncertainty=uncertainty, **how
        )

    def enhanced_lazily(
        self,
        volume: Volume,
        mask: Mask | None = None,
        region: Region | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Volume:
        """Describe the enhanced volume; each slice is computed when it is read.

        Parameters
        ----------
        volume
            Clinical CT in HU.
        mask : bool (z, y, x)
            Where to enhance; elsewhere the result is the bicubic interpolation. None: everywhere.
        region
            Index ranges of `volume` to enhance. Statistics are those of the whole volume all the same, so that
            a region equals the same part of the whole (``slice`` and ``patches`` depend on the crop).
        progress
            Called with the number of slices after each slice.

        Returns
        -------
        Volume
            int16 HU on the grid that is s times finer in y and x over the same physical extent.

        Raises
        ------
        GeometryError
            If the mask is not on the grid of the volume.
        IntensityError
            If the volume is not in HU.
        """
        self.require_clinical(volume, mask)
        part = volume.crop(*region) if region else volume
        part_mask = mask[region] if mask is not None and region else mask
        count = 0

        def keep(index: int, made: EnhancedSlice) -> None:
            nonlocal count
            count += 1
            if progress is not None:
                progress(count)

        return self.lazily(self.prepared(volume, mask), part, part_mask, region[0].start if region else 0, keep)

    def lazily(
        self,
        worker: Worker,
        part: Volume,
        mask: Mask | None,
        first: int,
        keep: Callable[[int, EnhancedSlice], None],
    ) -> Volume:
        """Describe what `worker` makes of `part`, slice by slice when it is read.

        Parameters
        ----------
        worker
            From `prepared`.
        part, mask
            What is enhanced, and where.
        first
            Index in the whole scan of the part's first slice.
        keep
            Given the index in `part` of every slice and what was made of it.
        """
        shape = (part.shape[0], part.shape[1] * self.scale, part.shape[2] * self.scale)

        def read(block: tuple[slice, slice, slice]) -> NDArray[np.int16]:
            planes = np.empty((block[0].stop - block[0].start, *shape[1:]), np.int16)
            for z in range(block[0].start, block[0].stop):
                made = worker.enhance(part.data[z], None if mask is None else mask[z], first + z)
                planes[z - block[0].start] = made.values
                keep(z, made)
            return planes[:, block[1], block[2]]

        return self.described(part, LazyArray(shape, np.int16, read, "enhanced volume"))

    def described(self, part: Volume, data: Any) -> Volume:
        """Put enhanced voxels of `part` at their place, with a line of history."""
        spacing, origin = refined_grid(part.spacing, part.origin, part.direction, self.scale)
        how = f"statistics: {self.statistics}" + (f", mean of {self.samples} passes" if self.samples else "")
        how += ", made consistent with the scan" if self.consistent else ""
        done = f"enhanced ×{self.scale} in-plane with {self.name}, {how}. {RESEARCH_NOTICE}"
        return part.with_data(data, done, spacing=spacing, origin=origin, modality="clinical", units="HU")

    @torch.no_grad()
    def enhance_unit(self, patches: Tensor) -> Tensor:
        """Map patches ``(n, 1, h, w)`` in [−1, 1] to ``(n, 1, s·h, s·w)``, each with its own statistics.

        This is the network as it was trained; volumes should go through `enhance`.
        """
        patches = patches.to(self.device)
        # The engine leaves the enhancer on the CPU, where it is folded.
        network = None if self.enhancer is None else self.enhancer.to(self.device)
        result = enlarge_bicubic(patches, self.scale) if network is None else network(patches)
        return result.float().clamp(-1, 1).cpu()

    def require_clinical(self, volume: Volume, mask: Mask | None) -> None:
        """Raise `IntensityError` or `GeometryError` when volume or mask cannot be what is meant."""
        if volume.modality == "micro":
            raise IntensityError("the input is a µCT volume; enhance takes a clinical CT in HU")
        if mask is not None and mask.shape != volume.shape:
            raise GeometryError(f"the mask has shape {mask.shape}, the scan {volume.shape}; make it on the scan's grid")

    def prepared(self, volume: Volume, mask: Mask | None, tell: Callable[[str], None] | None = None) -> Worker:
        """Return what enhances the slices of `volume`, its statistics taken from the volume once."""
        spacing = volume.spacing[1], volume.spacing[2]
        if self.enhancer is not None and self.statistics != "calibrated":
            return Patchwise(
                self.enhancer.to(self.device),
                self.scale,
                self.window,
                self.patch_size if self.statistics == "patches" else None,
                self.samples,
                self.seed,
                self.match_histograms,
                self.median,
                spacing,
                self.blend,
                self.blend_outside,
                self.device,
            )
        patches = self._calibration_patches(volume, mask) if self.enhancer is not None else None
        if tell is not None and patches is not None and self.trained_on is not None:
            tell(self._unlikeness(patches, volume, self.trained_on).in_words())
        network = self._calibrated(patches)
        dtype = self.options.dtype(self.device)
        if network is None:
            return Engine(None, self.scale, self.window, consistent=self.consistent)
        tile, copies = choose_tile(network, self.scale, volume.shape, dtype, self.samples, self.options)
        engine = Engine(
            network,
            self.scale,
            self.window,
            precision=dtype,
            tile=tile,
            copies=copies,
            samples=self.samples,
            seed=self.seed,
            consistent=self.consistent,
            spacing=spacing,
            blend=self.blend,
            blend_outside=self.blend_outside,
            device=self.device,
            tell=tell,
        )
        if tell is not None and patches is not None and dtype != torch.float32:
            off = engine.rounding(patches[:ROUNDING_PATCHES])
            tell(f"precision: bf16, {off:.1f} HU RMS from float32 on patches of this scan (`precision` float32: none)")
        return engine

    def unlikeness(self, volume: Volume, mask: Mask | None) -> Unlikeness | None:
        """How far a scan is from the training data; None for a model without any."""
        if self.trained_on is None:
            return None
        return self._unlikeness(self._calibration_patches(volume, mask), volume, self.trained_on)

    def _unlikeness(self, patches: Tensor, volume: Volume, trained: Fingerprint) -> Unlikeness:
        hu = self.window.from_unit(patches[:, 0]).numpy()
        spacing = volume.spacing[1], volume.spacing[2]
        return unlikeness(
            image_statistics_of(hu, spacing), trained.clinical_statistics(), Spread(*trained.clinical_spread)
        )

    def calibrated_network(self, volume: Volume, mask: Mask | None) -> nn.Module | None:
        """Return the enhancer with the normalisation statistics of `volume`; None for bicubic interpolation."""
        return self._calibrated(None if self.enhancer is None else self._calibration_patches(volume, mask))

    def _calibrated(self, patches: Tensor | None) -> nn.Module | None:
        network = self.enhancer
        if network is None or patches is None or not _normalises(network):
            return network
        if not self.samples:
            return calibrated(network, patches)
        with torch.random.fork_rng(), sampling(network):
            torch.manual_seed(self.seed)
            made = calibrated(network, patches)
        for layer in made.modules():
            if isinstance(layer, MonteCarloDropout):
                layer.sampling = False  # as copied; the engine draws its own masks
        return made

    def _calibration_patches(self, volume: Volume, mask: Mask | None) -> Tensor:
        size = min(self.patch_size, *volume.shape[1:])
        # A few slices stand for all, so that neither time nor memory grows with their number.
        shown = np.flatnonzero(mask.any((1, 2))) if mask is not None and mask.any() else np.arange(volume.shape[0])
        chosen = shown[np.unique(np.linspace(0, len(shown) - 1, CALIBRATION_SLICES).astype(int))]
        volume = volume.with_data(np.stack([np.asarray(volume.data[int(z)]) for z in chosen]))
        mask = None if mask is None else mask[chosen]
        try:
            bank = PatchBank.sample(
                [("scan", volume, mask)],
                size,
                per_volume=CALIBRATION_PATCHES,
                window=self.window,
                seed=self.seed,
            )
        except (IntensityError, OptionError):
            # No patch of the training size fits inside the mask: patches from anywhere are the next best thing.
            bank = PatchBank.sample(
                [("scan", volume, None)],
                size,
                per_volume=CALIBRATION_PATCHES,
                window=self.window,
                seed=self.seed,
            )
        return torch.from_numpy(bank.unit())


def load_model(model: str | Path, scale: int | None = None, device: torch.device | str = "cpu") -> SuperResolver:
    """Load a model package, or ``"bicubic"``.

    Parameters
    ----------
    model
        Folder of a model package, or the name of a method without weights.
    scale
        Required scale; a package of another one is refused. Bicubic: 8 when not given.
    device
        Where to run it.

    Raises
    ------
    FileError, ModelError, OptionError
        If there is no such model, it is damaged, or is for another scale.
    """
    device = torch.device(device)
    path = Path(model)
    if str(model) in methods.names() and not path.exists():
        kind = methods.get(str(model))
        if kind.trainable:
            raise OptionError(f"`model` {model}: this method needs trained weights; give the folder of a model package")
        config = kind.configure(changes={"scale": scale or 8})
        network = None if str(model) == "bicubic" else kind.make_enhancer(config).eval()
        return SuperResolver(str(model), network, config.scale, WITHOUT_CLIPPING, device=device)
    package = load_package(path)
    card = package.card
    if scale is not None and card.scale != scale:
        raise ModelError(
            f"{path}: a model for scale {card.scale}, not {scale}; leave `scale` out or take another model"
        )
    return SuperResolver(
        card.method,
        package.enhancer,
        card.scale,
        package.clinical_window,
        card.fingerprint.clinical_spacing,
        package.config.patch_size,
        device,
        trained_on=card.fingerprint,
        training={"method": card.method, "preset": card.preset, **card.training},
        micro_window=IntensityWindow(*card.micro_window),
        trained_mask=card.mask,
    )


def _normalises(network: nn.Module) -> bool:
    return any(isinstance(layer, nn.InstanceNorm2d) for layer in network.modules())
