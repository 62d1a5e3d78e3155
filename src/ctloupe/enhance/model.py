"""A trained model as enhancing needs it: network, scale, intensity windows, and what it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from ctloupe import methods
from ctloupe.foundation.errors import ModelError, OptionError
from ctloupe.images.windows import CLINICAL, IntensityWindow, Scaling
from ctloupe.methods.package import Fingerprint
from ctloupe.models.opened import open_package
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.prepare.masks import MaskKind
from ctloupe.volume.volume import Volume

WITHOUT_CLIPPING: Final = IntensityWindow(-32768, 32767)
"""Window of interpolations, which are linear and must not be cut off."""


@dataclass(frozen=True)
class LoadedModel:
    """A network in memory with everything that is known about it.

    Attributes
    ----------
    name
        Name for messages and histories.
    network
        Maps ``(n, 1, h, w)`` in [−1, 1] to ``(n, 1, s·h, s·w)``, in evaluation mode; None: bicubic interpolation.
    scale
        In-plane enlargement s.
    window
        Intensity window between HU and [−1, 1]. Where each scan is scaled by its own range, it is the mean range of the
        training volumes until `for_scan` has found that of the scan.
    trained_spacing
        In-plane (y, x) spacing in mm of the clinical patches; None when it does not matter.
    patch_size
        Side of a clinical training patch.
    device
        Where the network runs.
    trained_on
        What the training data looked like; None when it does not matter.
    training
        What the model card says of the training: method, preset, steps, seed.
    micro_window
        Intensity window of the µCT it was trained on; None without training.
    trained_mask
        Kind of the mask that the clinical patches were drawn in; None without training.
    notes
        Words on what would be otherwise if the model were trained today.
    scaling, micro_scaling
        Whether `window` and `micro_window` hold for every volume, or each has its own range instead.
    limits
        Smallest and largest value of the scan, which the bicubic interpolation outside of the mask stays within; None
        until they are needed.
    spacing_range
        Smallest and largest in-plane spacing in mm that it may be used at without being asked; None: `trained_spacing`.
    trained_window
        Window in which `trained_on` is told, where `window` has become that of a scan; None: `window`.
    """

    name: str
    network: nn.Module | None
    scale: int
    window: IntensityWindow = CLINICAL
    trained_spacing: tuple[float, float] | None = None
    patch_size: int = 32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    trained_on: Fingerprint | None = None
    training: dict[str, Any] = field(default_factory=dict)
    micro_window: IntensityWindow | None = None
    trained_mask: MaskKind | None = None
    notes: tuple[str, ...] = ()
    scaling: Scaling = "fixed"
    micro_scaling: Scaling = "fixed"
    trained_window: IntensityWindow | None = None
    limits: tuple[float, float] | None = None
    spacing_range: tuple[float, float] | None = None

    def takes_spacing(self, spacing: Sequence[float]) -> bool:
        """Whether its packer says that it may be used at this in-plane spacing."""
        return self.spacing_range is not None and all(
            self.spacing_range[0] <= one <= self.spacing_range[1] for one in spacing
        )

    def for_scan(self, scan: Volume, tell: Callable[[str], None] = lambda text: None) -> LoadedModel:
        """Return the model with the window that it has on a scan, which it keeps for every part of it.

        Parameters
        ----------
        scan
            The whole scan; it is gone through once where its own minimum and maximum are the window.
        tell
            Told which values these are.

        Raises
        ------
        IntensityError
            If all values of the scan are equal.
        """
        if self.scaling == "fixed":
            return self
        found = IntensityWindow.from_extremes(scan, "the scan")
        tell(
            f"window: {found.low:g} … {found.high:g} HU, the scan's own minimum and maximum, by which its HU are "
            "recovered: the model was trained on volumes that were scaled so"
        )
        return replace(self, window=found, scaling="fixed", trained_window=self.window)

    def micro_window_of(self, micro: Volume) -> IntensityWindow | None:
        """Window that takes a µCT to the [−1, 1] of the training; None without training."""
        if self.micro_window is None or self.micro_scaling == "fixed":
            return self.micro_window
        return IntensityWindow.from_extremes(micro, "the µCT")

    def digest(self) -> str:
        """SHA-256 of the weights, shortened to 32 hexadecimal digits."""
        digest = hashlib.sha256()
        if self.network is not None:
            for name, tensor in sorted(self.network.state_dict().items()):
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().float().numpy().tobytes())
        return digest.hexdigest()[:32]

    @torch.no_grad()
    def enhance_unit(self, patches: Tensor) -> Tensor:
        """Map patches ``(n, 1, h, w)`` in [−1, 1] to ``(n, 1, s·h, s·w)``, each with its own statistics.

        This is the network as it was trained; volumes should go through `SuperResolver.enhance`.
        """
        patches = patches.to(self.device)
        # An exact slice enhancer leaves the network on the CPU, where it is folded.
        network = None if self.network is None else self.network.to(self.device)
        result = enlarge_bicubic(patches, self.scale) if network is None else network(patches)
        return result.float().clamp(-1, 1).cpu()


def loaded_model(model: str | Path, scale: int | None = None, device: torch.device | str = "cpu") -> LoadedModel:
    """Load a model package, or an interpolation by its name.

    Parameters
    ----------
    model
        Folder of a model package, or the name of a method without weights, for instance ``bicubic``.
    scale
        Required scale; a package of another one is refused. Interpolations: 8 when not given.
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
        return _interpolation(str(model), scale, device)
    package, packed = open_package(model)
    card = package.card
    if scale is not None and card.scale != scale:
        raise ModelError(
            f"{model}: a model for scale {card.scale}, not {scale}; leave `scale` out or take another model"
        )
    demonstration = () if packed is None or not packed.demonstration else (packed.demonstration,)
    return LoadedModel(
        card.method if packed is None else f"{packed.name} ({card.method})",
        package.enhancer,
        card.scale,
        package.clinical_window,
        card.fingerprint.clinical_spacing,
        patch_size=package.config.patch_size,
        device=device,
        spacing_range=None if packed is None else packed.spacing,
        trained_on=card.fingerprint,
        training={"method": card.method, "preset": card.preset, **card.training},
        micro_window=IntensityWindow(*card.micro_window),
        trained_mask=card.mask,
        notes=demonstration + package.notes,
        scaling=card.clinical_scaling,
        micro_scaling=card.micro_scaling,
    )


def _interpolation(name: str, scale: int | None, device: torch.device) -> LoadedModel:
    kind = methods.get(name)
    if kind.trainable:
        raise OptionError(f"`model` {name}: this method needs trained weights; give the folder of a model package")
    config = kind.configure(changes={"scale": 8 if scale is None else scale})
    network = None if name == "bicubic" else kind.make_enhancer(config).eval()
    return LoadedModel(name, network, config.scale, WITHOUT_CLIPPING, device=device)
