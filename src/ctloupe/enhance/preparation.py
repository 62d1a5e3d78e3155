"""A model prepared for one volume: its normalisation statistics taken once, its work cut to fit the memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from ctloupe.enhance.bicubic import BicubicSliceEnhancer
from ctloupe.enhance.consistent import (
    PATCHES,
    ConsistentSliceEnhancer,
    correction_for,
    scanner_from_scan,
    scanner_of_flow,
)
from ctloupe.enhance.exact import ExactSliceEnhancer
from ctloupe.enhance.flow import FlowSliceEnhancer
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.network.calibrate import calibrated
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.patchwise import PatchwiseSliceEnhancer
from ctloupe.enhance.scan_part import Mask
from ctloupe.enhance.scanner_of_scan import told_the_scanner
from ctloupe.enhance.slice_enhancer import SliceEnhancer
from ctloupe.enhance.textured import TexturedSliceEnhancer
from ctloupe.enhance.tiling import Tiling, choose_tiling
from ctloupe.foundation.errors import IntensityError, OptionError
from ctloupe.images.likeness import Spread, Unlikeness, image_statistics_of, unlikeness
from ctloupe.methods.package import Fingerprint
from ctloupe.networks.dropout import MonteCarloDropout, sampling
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.volume import Volume

CALIBRATION_PATCHES: Final = 64
_COVERED: Final = 4
"""How often, on average, these patches show each voxel of a scan that is too small for so many."""

_FEWEST_PATCHES: Final = 8
CALIBRATION_SLICES: Final = 16
"""Slices, evenly spread over those with something in the mask, that the patches come from."""

ROUNDING_PATCHES: Final = 8


def prepared(
    model: LoadedModel,
    options: EnhanceOptions,
    scan: Volume,
    mask: Mask | None,
    tell: Callable[[str], None] = lambda text: None,
    corner: tuple[int, int] = (0, 0),
) -> SliceEnhancer:
    """Return what enhances the slices of a scan.

    Parameters
    ----------
    model, options
        What it is enhanced with, and how.
    scan, mask
        The whole scan, from which statistics are taken, and where it is enhanced; None: everywhere.
    tell
        Told how like the training data the scan is, its scanner where the network is told it, and what half precision
        costs.
    corner
        First row and column of the part of the scan that is enhanced.

    Raises
    ------
    OptionError
        If the network needs more memory than there is.
    """
    model = model.for_scan(scan, tell)
    for note in model.notes:
        tell(f"note: {note}")
    spacing = scan.spacing[1], scan.spacing[2]
    blocks = options.consistent and not options.consistent_with_scanner
    if model.network is None or mask is not None:
        low, high = scan.extremes
        model = replace(model, limits=(low, high))
        tell(f"interpolation: kept within the scan's range, {low:g} to {high:g} HU")
    if model.network is None:
        bicubic = BicubicSliceEnhancer(model.scale, model.limits, blocks)
        if not options.consistent_with_scanner:
            return bicubic
        patches = calibration_patches(model, scan, mask, options.seed)
        return _consistent(bicubic, bicubic, model, options, scan, patches, tell)
    if options.stitch != "calibrated":
        return PatchwiseSliceEnhancer(model, options, spacing)
    network, patches = _network_for(model, model.network, options, scan, mask, tell)
    dtype = options.dtype(model.device)
    tiling = choose_tiling(network, model.scale, scan.shape, dtype, options)
    ready, plain = replace(model, network=network), options.model_copy(update={"consistent": blocks})
    enhancer: ExactSliceEnhancer
    if isinstance(network, FlowEnhancer):
        of_flow = FlowSliceEnhancer if network.texture is None else TexturedSliceEnhancer
        enhancer = of_flow(ready, plain, spacing, tiling, tell, corner)
    else:
        enhancer = ExactSliceEnhancer(ready, plain, spacing, tiling, tell)
    if dtype != torch.float32:
        off = enhancer.rounding(patches[:ROUNDING_PATCHES])
        tell(f"precision: bf16, {off:.1f} HU RMS from float32 on patches of this scan (`precision` float32: none)")
    if not options.consistent_with_scanner:
        return enhancer
    # One deviation costs all the samples, and the correction is of the values.
    alone = plain.model_copy(update={"samples": 0} if isinstance(network, FlowEnhancer) else {})
    # What is measured must depend neither on the memory nor on the part of the scan that is enhanced.
    side = patches.shape[-1]
    probe = type(enhancer)(ready, alone, spacing, Tiling(tile=(side, side), copies=tiling.copies))
    return _consistent(enhancer, probe, ready, options, scan, patches, tell)


def network_for_scan(
    model: LoadedModel,
    options: EnhanceOptions,
    scan: Volume,
    mask: Mask | None,
    tell: Callable[[str], None] = lambda text: None,
) -> nn.Module:
    """Return a model's network with everything that it is to know of a scan: its statistics, and its scanner.

    Parameters
    ----------
    model
        A model with a network, and the window that it has on `scan`; see `LoadedModel.for_scan`.
    options, scan, mask, tell
        See `prepared`.
    """
    if model.network is None:
        raise ValueError("an interpolation has no network")
    return _network_for(model, model.network, options, scan, mask, tell)[0]


def _network_for(
    model: LoadedModel,
    network: nn.Module,
    options: EnhanceOptions,
    scan: Volume,
    mask: Mask | None,
    tell: Callable[[str], None],
) -> tuple[nn.Module, Tensor]:
    """The network for a scan, and the patches that its statistics are of."""
    patches = calibration_patches(model, scan, mask, options.seed)
    if model.trained_on is not None:
        tell(_unlikeness(model, model.trained_on, patches, scan).in_words())
    made = _calibrated(network, patches, options)
    if isinstance(made, FlowEnhancer):
        made = told_the_scanner(made, patches, scan, model.window, options.seed, tell)
    return made, patches


def _consistent(
    enhancer: SliceEnhancer,
    probe: SliceEnhancer,
    model: LoadedModel,
    options: EnhanceOptions,
    scan: Volume,
    patches: Tensor,
    tell: Callable[[str], None],
) -> SliceEnhancer:
    """The enhancer with the correction that its residual on patches of the scan asks for."""
    hu = model.window.from_unit(patches[:, 0]).numpy()
    if isinstance(model.network, FlowEnhancer):
        scanner = scanner_of_flow(model.network, model.window, options.consistent_with)
    else:
        scanner = scanner_from_scan(scan, hu, options.seed, options.consistent_with)
    correction = correction_for(probe, scanner, hu[:PATCHES], model.scale, tell)
    return ConsistentSliceEnhancer(enhancer, correction, options, model.window, (scan.spacing[1], scan.spacing[2]))


def calibrated_network(
    model: LoadedModel, options: EnhanceOptions, scan: Volume, mask: Mask | None
) -> nn.Module | None:
    """Return the model's network with the normalisation statistics of `scan`; None for bicubic interpolation."""
    if model.network is None:
        return None
    return _calibrated(model.network, calibration_patches(model.for_scan(scan), scan, mask, options.seed), options)


def calibration_patches(model: LoadedModel, scan: Volume, mask: Mask | None, seed: int) -> Tensor:
    """Seeded sample ``(n, 1, p, p)`` in [−1, 1] of the scan inside the mask, at the training patch size."""
    size = min(model.patch_size, *scan.shape[1:])
    # A few slices stand for all, so that neither time nor memory grows with their number.
    inside = mask if mask is not None and mask.any() else None
    shown = np.arange(scan.shape[0]) if inside is None else np.flatnonzero(inside.any((1, 2)))
    chosen = shown[np.unique(np.linspace(0, len(shown) - 1, CALIBRATION_SLICES).astype(int))]
    few = scan.with_data(np.stack([np.asarray(scan.data[int(z)]) for z in chosen]))
    seen = few.data.size if inside is None else int(np.count_nonzero(inside[chosen]))
    count = min(CALIBRATION_PATCHES, max(_FEWEST_PATCHES, math.ceil(_COVERED * seen / size**2)))

    def sample(where: Mask | None) -> PatchBank:
        return PatchBank.sample([("scan", few, where)], size, per_volume=count, window=model.window, seed=seed)

    try:
        bank = sample(None if inside is None else inside[chosen])
    except (IntensityError, OptionError):
        # No patch of the training size fits inside the mask: patches from anywhere are the next best thing.
        bank = sample(None)
    return torch.from_numpy(bank.unit())


def unlikeness_of(model: LoadedModel, scan: Volume, mask: Mask | None, seed: int) -> Unlikeness | None:
    """How far a scan is from the training data; None for a model without any."""
    trained = model.trained_on
    if trained is None:
        return None
    model = model.for_scan(scan)
    return _unlikeness(model, trained, calibration_patches(model, scan, mask, seed), scan)


def _unlikeness(model: LoadedModel, trained: Fingerprint, patches: Tensor, scan: Volume) -> Unlikeness:
    hu = (model.trained_window or model.window).from_unit(patches[:, 0]).numpy()
    found = image_statistics_of(hu, (scan.spacing[1], scan.spacing[2]))
    return unlikeness(found, trained.clinical_statistics(), Spread(*trained.clinical_spread))


def _calibrated(network: nn.Module, patches: Tensor, options: EnhanceOptions) -> nn.Module:
    """The network with the statistics of `patches`; as it is when nothing in it normalises by the image."""
    if not any(isinstance(layer, nn.InstanceNorm2d) for layer in network.modules()):
        return network
    if not options.samples:
        return calibrated(network, patches)
    with torch.random.fork_rng(), sampling(network):
        torch.manual_seed(options.seed)
        made = calibrated(network, patches)
    for layer in made.modules():
        if isinstance(layer, MonteCarloDropout):
            layer.sampling = False  # as copied; the slice enhancer draws its own masks
    return made
