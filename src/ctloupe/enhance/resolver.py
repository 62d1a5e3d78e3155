"""A trained model applied to volumes: calibration, whole slices, Hounsfield units, geometry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ctloupe import methods
from ctloupe.enhance.calibrate import calibrated
from ctloupe.enhance.region import Region
from ctloupe.methods.package import load_package
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
        Of the calibration sample.
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
    ) -> Path:
        """Enhance `volume` slice by slice into the file or store `path`; its suffix says the format."""
        from ctloupe.volume.formats import write

        return write(self.enhanced_lazily(volume, mask, region, progress), path, overwrite=overwrite)

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
        if volume.modality == "micro":
            raise IntensityError("the input is a µCT volume; enhance takes a clinical CT in HU")
        if mask is not None and mask.shape != volume.shape:
            raise GeometryError(f"the mask has shape {mask.shape}, the scan {volume.shape}; make it on the scan's grid")
        network = self._network(volume, mask)
        part = volume.crop(*region) if region else volume
        part_mask = mask[region] if mask is not None and region else mask
        spacing, origin = refined_grid(part.spacing, part.origin, part.direction, self.scale)
        z, y, x = part.shape
        count = 0

        def read(block: tuple[slice, slice, slice]) -> NDArray[np.int16]:
            nonlocal count
            slices = []
            for index in range(block[0].start, block[0].stop):
                whole = self._slice(network, part.data[index], None if part_mask is None else part_mask[index])
                slices.append(whole[block[1], block[2]])
                count += 1
                if progress is not None:
                    progress(count)
            return np.stack(slices) if slices else np.empty((0, y * self.scale, x * self.scale), np.int16)

        data = LazyArray((z, y * self.scale, x * self.scale), np.int16, read, "enhanced volume")
        done = f"enhanced ×{self.scale} in-plane with {self.name}, statistics: {self.statistics}. {RESEARCH_NOTICE}"
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
            network = calibrated(network, self._calibration_patches(volume, mask))
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
    def _slice(self, network: nn.Module | None, image: Any, mask: NDArray[np.bool_] | None) -> NDArray[np.int16]:
        hu = torch.from_numpy(np.asarray(image, dtype=np.float32))[None, None].to(self.device)
        plain = enlarge_bicubic(hu, self.scale)
        if network is None or (mask is not None and not mask.any()):
            return _to_int16(plain)
        unit = self.window.to_unit(hu)
        detail = self._patchwise(network, unit) if self.statistics == "patches" else network(unit)
        result = self.window.from_unit(detail.float())
        if mask is not None and not mask.all():
            result = torch.lerp(plain, result, _weight(mask, self.scale, self.device))
        return _to_int16(result)

    def _patchwise(self, network: nn.Module, image: Tensor) -> Tensor:
        """Independent patches of the training size, side by side; the last ones are aligned with the edge."""
        size, scale = self.patch_size, self.scale
        height, width = image.shape[-2:]
        if min(height, width) < size:
            return network(image)
        out = image.new_empty(1, 1, height * scale, width * scale)
        for top in [*range(0, height - size, size), height - size]:
            for left in [*range(0, width - size, size), width - size]:
                patch = network(image[..., top : top + size, left : left + size])
                out[..., top * scale : (top + size) * scale, left * scale : (left + size) * scale] = patch
        return out


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
        return SuperResolver(str(model), network, config.scale, device=device)
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


def _to_int16(image: Tensor) -> NDArray[np.int16]:
    return image[0, 0].round().clamp(-32768, 32767).to(torch.int16).cpu().numpy()
