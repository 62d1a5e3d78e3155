"""The enhanced volume: its grid, its history, and its voxels when they are read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import STEPS, EnhanceOptions, quantile_name
from ctloupe.enhance.scan_part import ScanPart
from ctloupe.enhance.slice_enhancer import EnhancedSlice, SliceEnhancer
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.volume.geometry import refined_grid
from ctloupe.volume.volume import LazyArray, Volume


def levels_of(scale: int) -> int:
    """Number of halvings from the enhanced grid down to the scan's."""
    return int(math.log2(scale))


def described(model: LoadedModel, options: EnhanceOptions, scan: Volume, data: Any = None) -> Volume:
    """Put the enhanced voxels of `scan` at their place, with a line of history; None: a volume without voxels."""
    spacing, origin = refined_grid(scan.spacing, scan.origin, scan.direction, model.scale)
    if isinstance(model.network, FlowEnhancer):
        drawn = f"a sample of seed {options.seed}{_steps_of(model, options)}"
        how = drawn if options.output == "sample" else "posterior mean"
    else:
        how = f"statistics: {options.stitch}" + (f", mean of {options.samples} passes" if options.samples else "")
    if model.trained_window is not None:
        how += f", values scaled by the scan's own range of {model.window.low:g} … {model.window.high:g}"
    how += ", made consistent with the scan" if options.consistent else ""
    how += " as its scanner made it" if options.consistent_with_scanner else ""
    done = f"enhanced ×{model.scale} in-plane with {model.name}, {how}. {RESEARCH_NOTICE}"
    z, y, x = scan.shape
    voxels = _no_voxels((z, y * model.scale, x * model.scale), np.int16) if data is None else data
    return scan.with_data(voxels, done, spacing=spacing, origin=origin, modality="clinical", units="HU")


def _steps_of(model: LoadedModel, options: EnhanceOptions) -> str:
    drawn_at_once = isinstance(model.network, FlowEnhancer) and model.network.texture is not None
    return " with the texture drawn at once" if drawn_at_once else f" in {options.steps or STEPS} steps"


def described_beside(model: LoadedModel, options: EnhanceOptions, scan: Volume) -> dict[str, Volume]:
    """Describe the maps that are made beside the values (`EnhanceOptions.beside`), volumes without voxels."""
    result = described(model, options, scan)
    empty = _no_voxels(result.shape, np.float32)
    of_flow = isinstance(model.network, FlowEnhancer)
    passes = f"samples{_steps_of(model, options)}" if of_flow else "passes with dropout"
    of_passes = f"standard deviation of {options.samples} {passes}"
    spread = of_passes if options.samples else "standard deviation of the errors, as the network has learnt it"
    share = "share of the prior's standard deviation that the scan leaves open, 0 to 1"
    found = {
        "deviation": result.with_data(empty, f"{spread}. {RESEARCH_NOTICE}"),
        "invented": result.with_data(empty, f"{share}. {RESEARCH_NOTICE}", units="raw"),
    }
    for one in options.quantiles:
        line = f"quantile {one:g} of {options.samples} {passes}. {RESEARCH_NOTICE}"
        found[quantile_name(one)] = result.with_data(empty, line)
    return {name: found[name] for name in options.beside}


def lazily(
    model: LoadedModel,
    options: EnhanceOptions,
    enhancer: SliceEnhancer,
    part: ScanPart,
    keep: Callable[[int, EnhancedSlice], None],
    known: dict[int, EnhancedSlice] | None = None,
) -> Volume:
    """Describe what `enhancer` makes of `part`, slice by slice when it is read.

    Parameters
    ----------
    model, options
        What is said of the result in its history.
    enhancer
        What enhances the slices.
    part
        What is enhanced.
    keep
        Given the index in `part` of every slice, and what was made of it.
    known
        Slices that were enhanced before, by their index in `part`; each is taken out of it when it is read first.
    """
    z, y, x = part.scan.shape
    shape = z, y * model.scale, x * model.scale

    def read(block: tuple[slice, slice, slice]) -> NDArray[np.int16]:
        planes = np.empty((block[0].stop - block[0].start, *shape[1:]), np.int16)
        for z in range(block[0].start, block[0].stop):
            made = None if known is None else known.pop(z, None)
            if made is None:
                made = enhancer.enhance(part.planes(z, z + 1, enhancer.neighbours)[0], part.mask_of(z), part.first + z)
            planes[z - block[0].start] = made.values
            keep(z, made)
        return planes[:, block[1], block[2]]

    return described(model, options, part.scan, LazyArray(shape, np.int16, read, "enhanced volume"))


def _no_voxels(shape: tuple[int, int, int], dtype: type) -> LazyArray:
    def read(block: tuple[slice, slice, slice]) -> NDArray[Any]:
        raise FileError("this volume has no voxels yet")

    return LazyArray(shape, dtype, read, "planned volume")
