"""A trained model applied to volumes: calibration, whole slices, Hounsfield units, geometry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ctloupe import methods
from ctloupe.enhance.calibrate import calibrated
from ctloupe.enhance.region import Region
from ctloupe.enhance.samples import Spool, sampled
from ctloupe.enhance.stitch import match_histogram, median_filtered
from ctloupe.methods.package import load_package
from ctloupe.networks.dropout import is_stochastic, sampling
from ctloupe.networks.generators import enlarge_bicubic
from ctloupe.prepare.intensity import CLINICAL, IntensityWindow
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.errors import GeometryError, IntensityError, ModelError, OptionError
from ctloupe.volume.geometry import refined_grid
from ctloupe.volume.notice import RESEARCH_NOTICE
from ctloupe.volume.volume import LazyArray, Volume

Statistics = Literal["calibrated", "slice", "patches"]
STATISTICS: Final[tuple[Statistics, ...]] = get_args(Statistics)
Mask = NDArray[np.bool_]

CALIBRATION_PATCHES: Final = 64
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

    def __post_init__(self) -> None:
        if self.samples and (self.enhancer is None or not is_stochastic(self.enhancer)):
            raise OptionError(
                f"--samples {self.samples}: model {self.name} has no dropout, so that all its passes are equal; "
                "leave --samples out, or train bayes-cyclegan"
            )
        if (self.match_histograms or self.median > 1) and self.statistics != "patches":
            raise OptionError("--match-histograms and --median belong to --stitch patches; without it there is no grid")
        if self.median < 1 or self.median % 2 == 0:
            raise OptionError(f"--median {self.median}: expected an odd number of pixels, for instance 3")

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
        path: Path,
        mask: Mask | None = None,
        region: Region | None = None,
        progress: Callable[[int], None] | None = None,
        overwrite: bool = False,
        uncertainty: Path | None = None,
    ) -> Path:
        """Enhance `volume` slice by slice into the file or store `path`; its suffix says the format.

        With `samples`, `uncertainty` is a second one, with the standard deviation of the passes in HU. While the
        first is written its slices wait on disk, next to `path`.
        """
        from ctloupe.volume.formats import write

        if uncertainty is None:
            return write(self.enhanced_lazily(volume, mask, region, progress), path, overwrite=overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent) as file:
            spool = Spool(file)
            lazy = self.enhanced_lazily(volume, mask, region, progress, spool.keep)
            written = write(lazy, path, overwrite=overwrite)
            done = f"standard deviation of {self.samples} passes with dropout. {RESEARCH_NOTICE}"
            write(lazy.with_data(spool.data(lazy.shape), done), uncertainty, overwrite=overwrite)
        return written

    def enhanced_lazily(
        self,
        volume: Volume,
        mask: Mask | None = None,
        region: Region | None = None,
        progress: Callable[[int], None] | None = None,
        keep_deviation: Callable[[int, NDArray[np.float32]], None] | None = None,
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
        keep_deviation
            Given, with `samples`, the index of each slice and its standard deviation in HU.

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
        if volume.modality == "micro":
            raise IntensityError("the input is a µCT volume; enhance takes a clinical CT in HU")
        if mask is not None and mask.shape != volume.shape:
            raise GeometryError(f"the mask has shape {mask.shape}, the scan {volume.shape}; make it on the scan's grid")
        network = self._network(volume, mask)
        part = volume.crop(*region) if region else volume
        part_mask = mask[region] if mask is not None and region else mask
        spacing, origin = refined_grid(part.spacing, part.origin, part.direction, self.scale)
        z, y, x = part.shape
        first = region[0].start if region else 0
        count = 0

        def read(block: tuple[slice, slice, slice]) -> NDArray[np.int16]:
            nonlocal count
            slices = []
            for index in range(block[0].start, block[0].stop):
                inside = None if part_mask is None else part_mask[index]
                whole, deviation = self._slice(network, part.data[index], inside, self.seed * 1_000_003 + first + index)
                slices.append(whole[block[1], block[2]])
                if keep_deviation is not None:
                    keep_deviation(index, deviation)
                count += 1
                if progress is not None:
                    progress(count)
            return np.stack(slices) if slices else np.empty((0, y * self.scale, x * self.scale), np.int16)

        data = LazyArray((z, y * self.scale, x * self.scale), np.int16, read, "enhanced volume")
        how = f"statistics: {self.statistics}" + (f", mean of {self.samples} passes" if self.samples else "")
        done = f"enhanced ×{self.scale} in-plane with {self.name}, {how}. {RESEARCH_NOTICE}"
        return part.with_data(data, done, spacing=spacing, origin=origin, modality="clinical", units="HU")

    @torch.no_grad()
    def enhance_unit(self, patches: Tensor) -> Tensor:
        """Map patches ``(n, 1, h, w)`` in [−1, 1] to ``(n, 1, s·h, s·w)``, each with its own statistics.

        This is the network as it was trained; volumes should go through `enhance`.
        """
        patches = patches.to(self.device)
        result = enlarge_bicubic(patches, self.scale) if self.enhancer is None else self.enhancer(patches)
        return result.float().clamp(-1, 1).cpu()

    def _network(self, volume: Volume, mask: Mask | None) -> nn.Module | None:
        if self.enhancer is None:
            return None
        network = self.enhancer
        if self.statistics == "calibrated" and _normalises(network):
            patches = self._calibration_patches(volume, mask)
            if self.samples:
                with torch.random.fork_rng(), sampling(network):
                    torch.manual_seed(self.seed)
                    network = calibrated(network, patches)
            else:
                network = calibrated(network, patches)
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _calibration_patches(self, volume: Volume, mask: Mask | None) -> Tensor:
        size = min(self.patch_size, *volume.shape[1:])
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

    @torch.no_grad()
    def _slice(
        self, network: nn.Module | None, image: Any, mask: NDArray[np.bool_] | None, seed: int
    ) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Enhanced slice in HU, and the standard deviation of its passes (empty without `samples`)."""
        hu = torch.from_numpy(np.asarray(image, dtype=np.float32))[None, None].to(self.device)
        plain = enlarge_bicubic(hu, self.scale)
        if network is None or (mask is not None and not mask.any()):
            return _to_int16(plain), np.zeros(plain.shape[2:] if self.samples else (0, 0), np.float32)
        weight = None if mask is None or mask.all() else _weight(mask, self.scale, self.device)

        def one_pass(unit: Tensor) -> Tensor:
            detail = self._patchwise(network, unit) if self.statistics == "patches" else network(unit)
            return self.window.from_unit(detail.float())

        unit = self.window.to_unit(hu)
        if not self.samples:
            result = one_pass(unit)
            return _to_int16(result if weight is None else torch.lerp(plain, result, weight)), np.empty(
                (0, 0), np.float32
            )
        with sampling(network):
            moments = sampled(one_pass, unit, self.samples, seed)
        mean, deviation = moments.mean, moments.deviation
        if weight is not None:
            mean, deviation = torch.lerp(plain, mean, weight), deviation * weight
        return _to_int16(mean), deviation[0, 0].cpu().numpy()

    def _patchwise(self, network: nn.Module, image: Tensor) -> Tensor:
        """Independent patches of the training size, side by side; the last ones are aligned with the edge."""
        size, scale = self.patch_size, self.scale
        height, width = image.shape[-2:]
        if min(height, width) < size:
            return network(image)
        out = image.new_empty(1, 1, height * scale, width * scale)
        for top in [*range(0, height - size, size), height - size]:
            for left in [*range(0, width - size, size), width - size]:
                low = image[..., top : top + size, left : left + size]
                patch = network(low)
                if self.match_histograms:
                    patch = _on_numpy(match_histogram, patch, enlarge_bicubic(low, scale))
                out[..., top * scale : (top + size) * scale, left * scale : (left + size) * scale] = patch
        return out if self.median == 1 else _on_numpy(partial(median_filtered, size=self.median), out)


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
            raise OptionError(f"--model {model}: this method needs trained weights; give the folder of a model package")
        config = kind.configure(changes={"scale": scale or 8})
        network = None if str(model) == "bicubic" else kind.make_enhancer(config).eval()
        return SuperResolver(str(model), network, config.scale, WITHOUT_CLIPPING, device=device)
    package = load_package(path)
    card = package.card
    if scale is not None and card.scale != scale:
        raise ModelError(
            f"{path}: a model for scale {card.scale}, not {scale}; leave --scale out or take another model"
        )
    return SuperResolver(
        card.method,
        package.enhancer,
        card.scale,
        package.clinical_window,
        card.fingerprint.clinical_spacing,
        package.config.patch_size,
        device,
    )


def _normalises(network: nn.Module) -> bool:
    return any(isinstance(layer, nn.InstanceNorm2d) for layer in network.modules())


def _weight(mask: NDArray[np.bool_], scale: int, device: torch.device) -> Tensor:
    """Weight of the network's output: 0 outside the mask, rising to 1 within half a coarse voxel inside its edge."""
    coarse = torch.from_numpy(mask)[None, None].to(device, torch.float32)
    fine = F.interpolate(coarse, scale_factor=float(scale), mode="bilinear", align_corners=False)
    return fine.sub_(0.5).mul_(2).clamp_(0, 1)


def _on_numpy(function: Callable[..., NDArray[np.float32]], *images: Tensor) -> Tensor:
    """Apply a function of 2-D arrays to images ``(1, 1, h, w)``."""
    made = function(*(image[0, 0].float().cpu().numpy() for image in images))
    return torch.from_numpy(np.ascontiguousarray(made, dtype=np.float32))[None, None].to(images[0].device)


def _to_int16(image: Tensor) -> NDArray[np.int16]:
    return image[0, 0].round().clamp(-32768, 32767).to(torch.int16).cpu().numpy()
