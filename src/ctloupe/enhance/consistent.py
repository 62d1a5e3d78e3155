"""Slices made consistent with the scan as its scanner made it, whatever enhances them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctloupe.enhance.back_projection import difference
from ctloupe.enhance.blending import Blend
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.scanner_correction import REACH, ScannerCorrection
from ctloupe.enhance.slice_enhancer import EnhancedSlice, SliceEnhancer, channels_of
from ctloupe.enhance.tiling import Tiling
from ctloupe.foundation.errors import OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.networks.tile import Tile
from ctloupe.scanner.edges import blur_from_edges
from ctloupe.scanner.estimate_noise import estimate_noise
from ctloupe.scanner.noise import NoiseSpectrum
from ctloupe.scanner.tile_power import SIDE, TilePower, expected_power
from ctloupe.volume.volume import Volume

PATCHES: Final = 32
"""Patches of the scan that the residual of the enhancer is measured on."""

_ROUNDING: Final = 1 / 12
"""Variance in HU² of rounding to whole HU, which every scan has."""

_SHARE: Final = 0.1
"""Share of its mean below which a modelled power is not trusted: the model of the noise has no floor, scans have.

Where it is too low, noise would be taken for a fault of the image and copied into it."""


@dataclass(frozen=True, eq=False)
class ScannerInHu:
    """The scanner of a scan, as a correction needs it.

    Attributes
    ----------
    blur
        Standard deviation of the Gaussian point spread before the average over the voxel, in scan voxels.
    power : (7,)
        Power in HU² of the difference between the scan and what the scanner sees of an image that is right; see
        `TilePower.result`.
    """

    blur: float
    power: NDArray[np.float64]


def scanner_of_flow(network: FlowEnhancer, window: IntensityWindow, choice: str) -> ScannerInHu:
    """Return the scanner that a flow was told.

    Parameters
    ----------
    network
        The flow; see `told_the_scanner`.
    window
        Window of the scan.
    choice
        `EnhanceOptions.consistent_with`; with ``plane`` a slice is a thin plane, which differs from the scan by more
        than noise.

    Raises
    ------
    OptionError
        If the difference of planes and slices is asked for and not known.
    """
    half = (window.high - window.low) / 2
    blur, noise, rise, roll_off = network.scanner.tolist()
    power = _noise_power(NoiseSpectrum(rise, roll_off), noise * half)
    if choice == "plane":
        thin = network.thin_plane_power(blur)
        if thin is None:
            raise OptionError(
                "`consistent_with` plane: this model does not know how a plane differs from the mean over a slice; "
                "take scanner, or train it on a bank with slice averages"
            )
        power = power + thin * half**2
    return ScannerInHu(blur, power)


def scanner_from_scan(scan: Volume, patches: NDArray[np.float32], seed: int, choice: str) -> ScannerInHu:
    """Find blur and noise from a scan alone: from edges between air and tissue, and from its smoothest regions.

    Parameters
    ----------
    scan
        The whole scan.
    patches : (n, p, p)
        Patches of it in HU, where it is enhanced.
    seed
        Seed of the choice of edges.
    choice
        What the image is compared with; see `scanner_of_flow`.

    Raises
    ------
    OptionError
        If they cannot be found.
    """
    if choice == "plane":
        raise OptionError("`consistent_with` plane needs a model that knows µCT, physics-flow; take scanner")
    edges = blur_from_edges(scan, seed)
    if edges is None:
        raise OptionError("`consistent_with` scanner: the scan shows too few clean edges to find its blur; take blocks")
    try:
        noise = estimate_noise(patches)
    except ValueError as error:
        raise OptionError(f"`consistent_with` scanner: {error}; take blocks") from error
    return ScannerInHu(edges.blur / scan.spacing[2], _noise_power(noise.spectrum, noise.noise))


def _noise_power(spectrum: NoiseSpectrum, deviation: float) -> NDArray[np.float64]:
    return np.maximum(expected_power(spectrum, deviation), max(_ROUNDING, _SHARE * deviation**2))


def correction_for(
    probe: SliceEnhancer,
    scanner: ScannerInHu,
    patches: NDArray[np.float32],
    scale: int,
    tell: Callable[[str], None],
) -> ScannerCorrection:
    """Measure the residual of an enhancer on patches of the scan, and return what corrects it.

    Parameters
    ----------
    probe
        The enhancer, without any correction, cut in tiles no smaller than the patches.
    scanner
        The scanner of the scan.
    patches : (n, p, p)
        Patches of the scan in HU.
    scale
        In-plane enlargement.
    tell
        Told the residual and what is done about it.
    """
    nothing = ScannerCorrection.of(scanner.blur, scanner.power, scanner.power, scale)
    power, edge = TilePower(), SIDE // 2
    for index, patch in enumerate(patches):
        made = torch.from_numpy(probe.enhance(patch, None, index).values).float()
        # At the border of a patch the network sees less than it will of a slice.
        off = nothing.residual(made, torch.from_numpy(patch))[edge:-edge, edge:-edge]
        power.add(off.numpy(), None)
    found = power.result()
    if not power.tiles:
        tell("consistency: patches of this scan are too small to measure a residual; nothing is corrected")
        return nothing
    made_for = ScannerCorrection.of(scanner.blur, scanner.power, found, scale)
    ratio = ", ".join(f"{value:.1f}" for value in found / scanner.power)
    tell(f"consistency: residual over what is expected, from low to high frequencies: {ratio}")
    if made_for.is_none:
        tell("consistency: noise explains all of the residual; nothing is corrected")
    else:
        tell(f"consistency: corrected within {REACH} voxels; {100 * made_for.lost:.1f}% of the correction lie beyond")
    return made_for


class ConsistentSliceEnhancer:
    """Corrects what another enhancer makes of a slice; see `SliceEnhancer`.

    The correction of a pixel depends on what lies within a fixed distance, so that a part of a scan equals the same
    part of the whole away from its border. Outside of the mask nothing is changed; at its border the correction fades
    as the network's share does.

    Parameters
    ----------
    inner
        What enhances the slices.
    correction
        What is added.
    options
        How slices are enhanced; `blend` and `blend_outside` are followed.
    window
        Intensities that the network can give; a scan beyond them is no reason to correct.
    spacing
        Distance of rows and of columns of the scan in mm.
    """

    def __init__(
        self,
        inner: SliceEnhancer,
        correction: ScannerCorrection,
        options: EnhanceOptions,
        window: IntensityWindow,
        spacing: tuple[float, float],
    ) -> None:
        self.inner, self.correction, self.options = inner, correction, options
        self.window, self.spacing = window, spacing
        self.scale = correction.operator.factors[0]

    @property
    def neighbours(self) -> int:
        """Slices on either side that it looks at."""
        return self.inner.neighbours

    @property
    def tiling(self) -> Tiling | None:
        """How slices are cut."""
        return self.inner.tiling

    @property
    def tile(self) -> tuple[int, int] | None:
        """Rows and columns of a tile on the scan's grid; None when a slice is computed whole."""
        return self.inner.tile

    def use(self, tiling: Tiling) -> None:
        """Cut slices as an earlier run did."""
        self.inner.use(tiling)

    def footprint(self, shape: tuple[int, int]) -> float:
        """Bytes of features in work for a slice of `shape` on the scan's grid."""
        planes = 4.0 * 4 * shape[0] * shape[1] * self.scale**2
        return max(planes, self.inner.footprint(shape))

    @torch.inference_mode()
    def enhance(self, hu: NDArray[np.number], mask: NDArray[np.bool_] | None, index: int) -> EnhancedSlice:
        """Enhance one slice; see `SliceEnhancer.enhance`."""
        made = self.inner.enhance(hu, mask, index)
        if self.correction.is_none or (mask is not None and not mask.any()):
            return made
        scan = channels_of(hu)[0]
        plane = torch.from_numpy(made.values).float()
        residual = self.correction.residual(plane, scan.clamp(self.window.low, self.window.high))
        inside = np.ones(scan.shape, bool) if mask is None else mask
        plane += self.correction.added(residual * torch.from_numpy(inside)) * self._weight(inside)
        beside = {name: torch.from_numpy(one) for name, one in made.beside.items()}
        off = difference(plane, scan, self.scale)[inside]
        return EnhancedSlice.of(plane, beside, off, made.tiles, made.skipped)

    def _weight(self, inside: NDArray[np.bool_]) -> Tensor:
        """Share of the network in every fine pixel."""
        height, width = inside.shape
        if inside.all():
            return torch.ones(())
        blend = Blend(inside, self.spacing, self.options.blend, outside=self.options.blend_outside)
        weight = blend.weight(Tile((0, height), (0, width), height, width), self.scale)
        return torch.ones(()) if weight is None else weight
