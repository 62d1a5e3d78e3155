"""How slices are cut into tiles so that the work fits the memory."""

from __future__ import annotations

from typing import Final

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from ctloupe.enhance.network.footprint import COARSE_COPIES, Footprint
from ctloupe.enhance.network.tiles import halved
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.memory import memory
from ctloupe.networks.receptive_field import ReceptiveField, receptive_field_of

TILE: Final = (64, 128)
"""Largest tile on the coarse grid; measured in ``benchmarks/enhance.py``."""

LARGEST_TENSOR: Final = 30_000_000
"""Bytes. The allocator of glibc gives back to the system what is larger, and every use then waits for fresh pages."""

DEFAULT_MEMORY: Final = 3_000_000_000
PROCESS_BYTES: Final = 700_000_000
"""Memory of Python, PyTorch and its kernels before any image is there; measured."""

_SIZE: Final = 32


class Tiling(BaseModel):
    """How slices are cut. It is chosen by the memory of a machine, and decides the last bits of the result.

    Attributes
    ----------
    tile
        Rows and columns of a tile on the scan's grid.
    copies
        Number of passes with dropout that are computed together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tile: tuple[int, int] = (64, 128)
    copies: int = 1


def memory_allowed(options: EnhanceOptions) -> int:
    """Bytes that the process may use: what was asked for, else at most three quarters of what is available."""
    if options.memory is not None:
        return options.memory
    return int(min(DEFAULT_MEMORY, 0.75 * memory().available))


def fixed_bytes(shape: tuple[int, int, int], scale: int, beside: int) -> float:
    """Bytes that depend on neither network nor tile: the process, and the planes of a slice in work.

    Float32 plane, its enlargement and correction, int16 slices in work, waiting, being compressed and timed beforehand,
    maps `beside`.
    """
    area = shape[1] * shape[2]
    planes = (4 * 2 + 2 * 5 + 4 * 3 * beside) * area * scale * scale
    return PROCESS_BYTES + planes


def choose_tiling(
    network: nn.Module, scale: int, shape: tuple[int, int, int], dtype: torch.dtype, options: EnhanceOptions
) -> Tiling:
    """Tile, and passes computed together, that fit the memory and suit the allocator.

    Parameters
    ----------
    network
        Calibrated network.
    scale
        In-plane enlargement.
    shape
        Shape (z, y, x) of the scan.
    dtype
        Type of the features.
    options
        How slices are enhanced; `samples`, `tile` and `memory` are followed.

    Raises
    ------
    OptionError
        If the network cannot be cut, and a whole slice does not fit the memory.
    """
    field = receptive_field_of(network, _SIZE)
    needs = Footprint.of(network, 2 if dtype == torch.bfloat16 else 4)
    if field.everything:
        _require_memory_for_whole_slices(field, needs, shape, scale, options)
    copies = min(4, options.samples) or 1
    if options.tile is not None:
        return Tiling(tile=(options.tile, options.tile), copies=copies)
    coarse = COARSE_COPIES * needs.coarse * shape[1] * shape[2]
    fixed = fixed_bytes(shape, scale, len(options.beside)) + coarse
    left = memory_allowed(options) - fixed
    size, halo = TILE, field.halo * (needs.coarse == 0)
    while True:
        area = (size[0] + halo) * (size[1] + halo) * copies
        if area * needs.tensor <= LARGEST_TENSOR and 2 * area * needs.tile <= left:
            return Tiling(tile=size, copies=copies)
        smaller = halved(size, field.multiple) if min(size) > 16 or copies == 1 else None
        if smaller is None and copies > 1:
            copies //= 2
        elif smaller is None or max(smaller) < 16:
            return Tiling(tile=size, copies=copies)
        else:
            size = smaller


def _require_memory_for_whole_slices(
    field: ReceptiveField, needs: Footprint, shape: tuple[int, int, int], scale: int, options: EnhanceOptions
) -> None:
    """Raise `OptionError` when a network that cannot be cut asks for more than there is."""
    area = shape[1] * shape[2]
    needed = fixed_bytes(shape, scale, 0) + 2.0 * (needs.coarse or needs.tile) * area
    allowed = options.memory or memory().available
    if needed > allowed:
        raise OptionError(
            f"this network looks at the whole slice at once ({', '.join(field.everything)}) and needs about "
            f"{needed / 1e9:.1f} GB for {shape[2]}×{shape[1]}, of {allowed / 1e9:.1f} GB; enhance a smaller `roi`, "
            "or use a machine with more memory"
        )
