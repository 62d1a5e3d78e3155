"""What an enhancement will cost, said before it begins: tiles, memory, disk, time."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from ctloupe.enhance.exact import Engine, EngineOptions
from ctloupe.enhance.network.tiles import halved
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.networks.receptive_field import ReceptiveField, receptive_field_of
from ctloupe.networks.split import SplitNetwork

TILE: Final = (64, 128)
"""Largest tile on the coarse grid; measured in ``benchmarks/enhance.py``."""

LARGEST_TENSOR: Final = 30_000_000
"""Bytes. The allocator of glibc gives back to the system what is larger, and every use then waits for fresh pages."""

DEFAULT_MEMORY: Final = 3_000_000_000
PROCESS_BYTES: Final = 700_000_000
"""Of Python, PyTorch and its kernels before any image is there; measured."""

COMPRESSION: Final = 1.5
"""Taken for granted when the disk is checked; enhanced chest CT compresses better than this."""

_SIZE: Final = 32


@dataclass(frozen=True)
class Footprint:
    """Bytes that one coarse pixel needs in the layers of a network.

    Attributes
    ----------
    coarse, tile
        Largest input and output of a layer together: of the part computed for the whole slice, and of the
        part computed by tiles, in bytes per coarse pixel and pass.
    tensor
        Largest single tensor of the latter.
    """

    coarse: float
    tile: float
    tensor: float


@torch.no_grad()
def footprint(network: nn.Module, bytes_each: int) -> Footprint:
    """Measure a network on a small image."""
    image = torch.zeros(1, 1, _SIZE, _SIZE)
    largest = {"coarse": 0.0, "tile": 0.0, "tensor": 0.0}
    part = "coarse" if isinstance(network, SplitNetwork) else "tile"

    def watch(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        sizes = [one.numel() * bytes_each for one in (*inputs, output) if isinstance(one, Tensor)]
        largest[part] = max(largest[part], float(sum(sizes)))
        if part == "tile":
            largest["tensor"] = max(largest["tensor"], float(max(sizes, default=0)))

    leaves = [layer for layer in network.modules() if not any(True for _ in layer.children())]
    handles = [layer.register_forward_hook(watch) for layer in leaves]
    if isinstance(network, SplitNetwork):
        features = network.coarse_features(image)
        part = "tile"
        network.render(features, image)
    else:
        network(image)
    for handle in handles:
        handle.remove()
    area = _SIZE * _SIZE
    return Footprint(largest["coarse"] / area, largest["tile"] / area, largest["tensor"] / area)


def memory_allowed(options: EngineOptions) -> int:
    """Bytes that the process may use."""
    if options.memory is not None:
        return options.memory
    return int(min(DEFAULT_MEMORY, max(0.75 * _free_bytes(), 1e9)))


def _free_bytes() -> int:
    """Memory that is free now."""
    if not hasattr(os, "sysconf"):
        return DEFAULT_MEMORY
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def fixed_bytes(shape: tuple[int, int, int], scale: int, coarse: float, samples: int) -> float:
    """Bytes that do not depend on the tile: the process, the planes of a slice in work, and its coarse features.

    Float32 plane, its enlargement and correction, int16 slices in work, waiting and being compressed.
    """
    area = shape[1] * shape[2]
    planes = (4 * 2 + 2 * 4 + (4 * 2 if samples else 0)) * area * scale * scale
    return PROCESS_BYTES + planes + 2.0 * coarse * area


def choose_tile(
    network: nn.Module,
    scale: int,
    shape: tuple[int, int, int],
    dtype: torch.dtype,
    samples: int,
    options: EngineOptions,
) -> tuple[tuple[int, int], int]:
    """Rows and columns of a tile, and passes computed together, that fit the memory and suit the allocator."""
    reach = receptive_field_of(network, _SIZE)
    needs = footprint(network, 2 if dtype == torch.bfloat16 else 4)
    if reach.everything:
        _require_memory_for_whole_slices(reach, needs, shape, scale, options)
    if options.tile is not None:
        return (options.tile, options.tile), min(4, samples) or 1
    left = memory_allowed(options) - fixed_bytes(shape, scale, needs.coarse, samples)
    size, copies = TILE, min(4, samples) or 1
    while True:
        area = (size[0] + reach.halo * (needs.coarse == 0)) * (size[1] + reach.halo * (needs.coarse == 0)) * copies
        if area * needs.tensor <= LARGEST_TENSOR and 2 * area * needs.tile <= left:
            return size, copies
        smaller = halved(size, reach.multiple) if min(size) > 16 or copies == 1 else None
        if smaller is None and copies > 1:
            copies //= 2
        elif smaller is None or max(smaller) < 16:
            return size, copies
        else:
            size = smaller


def _require_memory_for_whole_slices(
    reach: ReceptiveField, needs: Footprint, shape: tuple[int, int, int], scale: int, options: EngineOptions
) -> None:
    """Raise `OptionError` when a network that cannot be cut asks for more than there is."""
    area = shape[1] * shape[2]
    needed = fixed_bytes(shape, scale, 0.0, 0) + 2.0 * (needs.coarse or needs.tile) * area
    allowed = options.memory or _free_bytes()
    if needed > allowed:
        raise OptionError(
            f"this network looks at the whole slice at once ({', '.join(reach.everything)}) and needs about "
            f"{needed / 1e9:.1f} GB for {shape[2]}×{shape[1]}, of {allowed / 1e9:.1f} GB; enhance a smaller `roi`, "
            "or use a machine with more memory"
        )


@dataclass(frozen=True)
class Plan:
    """What is about to be done.

    Attributes
    ----------
    slices, fine
        Number of slices, and (z, y, x) of the result.
    slab
        Slices that are read, enhanced and recorded together.
    tile
        On the coarse grid; None when the slice is not cut.
    memory
        Estimated largest use in bytes.
    disk
        Bytes asked for on the disk.
    seconds
        Estimated; None when unknown.
    """

    slices: int
    fine: tuple[int, int, int]
    slab: int
    tile: tuple[int, int] | None
    memory: float
    disk: float
    seconds: float | None

    def lines(self) -> list[str]:
        """Say it in words."""
        cut = "whole slices" if self.tile is None else f"tiles of {self.tile[0]}×{self.tile[1]} scan voxels"
        expected = "unknown" if self.seconds is None else f"about {_duration(self.seconds)}"
        return [
            f"plan: {self.slices} slices to {self.fine[2]}×{self.fine[1]} pixels, {self.slab} at a time, {cut}",
            f"plan: memory about {self.memory / 1e9:.1f} GB, disk up to {self.disk / 1e9:.2f} GB, time {expected}",
        ]


def require_disk(plan: Plan, path: Path) -> None:
    """Raise `FileError` when the disk of `path` has less free than the plan asks for."""
    folder = next(one for one in path.absolute().parents if one.is_dir())
    free = shutil.disk_usage(folder).free
    if free < plan.disk:
        raise FileError(
            f"{path}: {plan.disk / 1e9:.2f} GB may be needed and {free / 1e9:.2f} GB are free; free some space, "
            "write to another disk, or enhance fewer slices"
        )


def disk_needed(fine: tuple[int, int, int], levels: int, deviation: bool) -> float:
    """Bytes of the store, its coarser levels, and that of the deviation."""
    voxels = float(np.prod(fine)) * sum(0.25**level for level in range(levels + 1))
    return voxels * (2 + (4 if deviation else 0)) / COMPRESSION


def seconds_per_slice(engine: Engine, hu: np.ndarray[Any, Any], mask: np.ndarray[Any, Any] | None, index: int) -> float:
    """Time of enhancing one slice, measured on it; the second of two runs when they are short."""
    spent = 0.0
    for _ in range(2):
        begun = time.perf_counter()
        engine.enhance(hu, mask, index)
        spent = time.perf_counter() - begun
        if spent > 2:
            break
    return spent


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
