"""One slice in, one enhanced slice out: exact tiles, the mask, consistency, uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ctloupe.enhance.back_projection import block_mean, correction
from ctloupe.enhance.blending import Blend
from ctloupe.enhance.network.fast_rewrite import rewritten
from ctloupe.enhance.network.fold import folded
from ctloupe.enhance.network.tiles import TiledNetwork, halved
from ctloupe.enhance.samples import RunningMoments
from ctloupe.foundation.errors import OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.dropout import Draw, drawing
from ctloupe.networks.precision import hardware_has_bf16
from ctloupe.networks.replay import replayed
from ctloupe.networks.tile import Tile, placed


@dataclass(frozen=True)
class EnhancedSlice:
    """What the engine makes of a slice.

    Attributes
    ----------
    values : int16 (s·h, s·w)
        In HU.
    deviation : float32 (s·h, s·w)
        Standard deviation of the passes in HU; None without them.
    residual
        Sum of squares and sum of f↓(SR) − scan over the mask in HU, and the number of voxels.
    tiles, skipped
        How many tiles a slice has, and how many were outside the mask.
    """

    values: NDArray[np.int16]
    deviation: NDArray[np.float32] | None
    residual: tuple[float, float, int]
    tiles: int
    skipped: int

    @classmethod
    def of(
        cls, plane: Tensor, deviation: Tensor | None, off: NDArray[np.float32], tiles: int, skipped: int
    ) -> EnhancedSlice:
        """Round a plane of HU, in place; `off` is f↓(SR) − scan at the voxels of the mask."""
        wide = off.astype(np.float64)
        residual = float(np.square(wide).sum()), float(wide.sum()), wide.size
        values = plane.round_().clamp_(-32768, 32767).to(torch.int16).numpy()
        return cls(values, None if deviation is None else deviation.numpy(), residual, tiles, skipped)


class Engine:
    """A network prepared for one volume; give it slices in any order.

    Parameters
    ----------
    network
        Calibrated, in evaluation mode; None: bicubic interpolation.
    scale
        In-plane enlargement.
    window
        Between HU and [−1, 1].
    precision
        Of the features.
    tile
        Rows and columns of a tile on the coarse grid.
    samples, seed
        Passes with dropout, and what their masks are made of; 0: one pass without.
    copies
        Passes computed together.
    consistent
        Correct every slice so that its block means equal the scan inside the mask.
    spacing, blend, blend_outside
        Distance of rows and of columns in mm; the distance in mm over which the result goes over into the bicubic
        interpolation at the border of the mask, and whether it does so outside of the mask; see `Blend`.
    tell
        Called with a line of text when a tile had to be made smaller.
    """

    def __init__(
        self,
        network: nn.Module | None,
        scale: int,
        window: IntensityWindow,
        *,
        precision: torch.dtype = torch.bfloat16,
        tile: tuple[int, int] = (64, 128),
        samples: int = 0,
        seed: int = 0,
        copies: int = 4,
        consistent: bool = False,
        spacing: tuple[float, float] = (1.0, 1.0),
        blend: float = 0.0,
        blend_outside: bool = False,
        device: torch.device | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.scale, self.window, self.samples, self.seed = scale, window, samples, seed
        self.copies, self.consistent, self.device = max(1, copies), consistent, device or torch.device("cpu")
        self.spacing, self.blend, self.blend_outside = spacing, blend, blend_outside
        self.tell = tell or (lambda text: None)
        self.network: TiledNetwork | None = None
        self.tile, self.precision = tile, precision
        if network is not None:
            plain = folded(network.to("cpu")).float()
            fast = rewritten(plain, precision).to(self.device)
            self.network = TiledNetwork(plain, fast, scale)
            multiple = self.network.of_tile.multiple
            self.tile = (_rounded(tile[0], multiple), _rounded(tile[1], multiple))

    @torch.inference_mode()
    def rounding(self, patches: Tensor) -> float:
        """Root mean square difference in HU to the network in float32, on patches ``(n, 1, p, p)`` in [−1, 1]."""
        if self.network is None:
            return 0.0
        exact = self.network.plain(patches.cpu())
        found = self.network.network(patches.to(self.device)).cpu()
        return float(
            (self.window.from_unit(found.float()) - self.window.from_unit(exact.float())).square().mean().sqrt()
        )

    @torch.inference_mode()
    def enhance(self, hu: NDArray[np.number], mask: NDArray[np.bool_] | None, index: int) -> EnhancedSlice:
        """Enhance one slice.

        Parameters
        ----------
        hu : (h, w)
            Clinical slice.
        mask : bool (h, w)
            Where to use the network; None: everywhere.
        index
            Of the slice in its volume, from which dropout masks are made.
        """
        scan = torch.from_numpy(np.ascontiguousarray(hu, dtype=np.float32))
        if self.network is None:
            mask = np.ones(scan.shape, bool) if mask is None else mask
            return self._finish(enlarge_bicubic(scan[None, None], self.scale)[0, 0], None, scan, mask, (0, 0))
        shape = (scan.shape[0], scan.shape[1])
        fine = (shape[0] * self.scale, shape[1] * self.scale)
        everywhere = mask is None or bool(mask.all())
        mask = np.ones(scan.shape, bool) if mask is None else mask
        plane = torch.empty(fine) if everywhere else enlarge_bicubic(scan[None, None], self.scale)[0, 0]
        deviation = torch.zeros(fine) if self.samples else None
        blend = None if everywhere else Blend(mask, self.spacing, self.blend, outside=self.blend_outside)
        wanted = None if blend is None else blend.wanted
        while True:
            tiles = self.network.tiles(shape, self.tile, wanted)
            try:
                self._fill(plane, deviation, scan, blend, tiles, index)
                break
            except (MemoryError, RuntimeError) as error:
                self._shrink(error)
        total = len(self.network.tiles(shape, self.tile, None))
        return self._finish(plane, deviation, scan, mask, (total, total - len(tiles)))

    def _fill(
        self,
        plane: Tensor,
        deviation: Tensor | None,
        scan: Tensor,
        blend: Blend | None,
        tiles: list[Tile],
        index: int,
    ) -> None:
        """Write every tile into `plane` in HU, and its spread into `deviation`."""
        if not tiles:
            return
        s = self.scale
        for tile, mean, spread in self._tiles(self.window.to_unit(scan[None, None]).to(self.device), tiles, index):
            place = slice(tile.y[0] * s, tile.y[1] * s), slice(tile.x[0] * s, tile.x[1] * s)
            weight = None if blend is None else blend.weight(tile, s)
            plane[place] = mean if weight is None else torch.lerp(plane[place], mean, weight)
            if deviation is not None and spread is not None:
                deviation[place] = spread if weight is None else spread * weight

    def _tiles(self, image: Tensor, tiles: list[Tile], index: int) -> Iterator[tuple[Tile, Tensor, Tensor | None]]:
        """Mean and spread of each tile in HU."""
        tiled = self.network
        assert tiled is not None
        shared = tiled.coarse(image, tiles)
        function = tiled.function()
        for tile in tiles:
            inputs, wider = tiled.inputs(image, shared, tile)
            with placed(tiled.network, wider):
                if self.samples:
                    moments = self._sampled(function, inputs, index, partial(tiled.middle, wider=wider, tile=tile))
                    yield tile, moments.mean, moments.deviation
                else:
                    out = tiled.middle(function(*inputs), wider, tile)[0, 0]
                    yield tile, self.window.from_unit(out.float()).cpu(), None

    def _sampled(
        self, function: nn.Module, inputs: tuple[Tensor, ...], index: int, middle: Callable[[Tensor], Tensor]
    ) -> RunningMoments:
        """Mean and spread over the passes, some at a time; what precedes the first dropout is computed once."""
        moments = RunningMoments()
        with replayed(function) as again:
            for first in range(0, self.samples, self.copies):
                draw = Draw(self.seed * 1_000_003 + index, first, min(self.copies, self.samples - first))
                with drawing(function, draw):
                    out = middle(again(*inputs))
                for one in self.window.from_unit(out[:, 0].float()).cpu():
                    moments.add(one)
        return moments

    def _finish(
        self,
        plane: Tensor,
        deviation: Tensor | None,
        scan: Tensor,
        mask: NDArray[np.bool_],
        tiles: tuple[int, int],
    ) -> EnhancedSlice:
        missing = (scan - block_mean(plane, self.scale)).numpy()
        if self.consistent and mask.any():
            plane += correction(np.where(mask, missing, 0).astype(np.float32), self.scale)
            missing = (scan - block_mean(plane, self.scale)).numpy()
        return EnhancedSlice.of(plane, deviation, -missing[mask], *tiles)

    def _shrink(self, error: BaseException) -> None:
        """Make tiles smaller after the memory ran out; anything else is raised again.

        Raises
        ------
        OptionError
            If they cannot be smaller.
        """
        if not (isinstance(error, MemoryError) or _is_out_of_memory(error)):
            raise error
        network = self.network
        assert network is not None
        if self.copies > 1:
            self.copies //= 2
            self.tell(f"out of memory: going on with {self.copies} passes at a time")
            return
        smaller = halved(self.tile, network.of_tile.multiple) if network.is_cut else None
        if smaller is None:
            why = f"it looks at the whole slice at once ({', '.join(network.whole.everything)})"
            raise OptionError(
                f"out of memory in a tile of {self.tile[0]}×{self.tile[1]} voxels"
                + (f", and this network cannot be cut further: {why}" if not network.is_local else "")
                + "; give a smaller `roi`, or a machine with more memory"
            ) from error
        self.tile = smaller
        self.tell(f"out of memory: going on with tiles of {smaller[0]}×{smaller[1]} voxels")


@dataclass(frozen=True)
class EngineOptions:
    """What a user may say about how the engine works; none of it changes what it computes, but for rounding.

    Attributes
    ----------
    precision
        ``auto`` (bf16 where the hardware has it), ``bf16`` or ``float32``.
    tile
        Side of a tile in voxels of the scan; None: chosen by memory.
    memory
        Bytes that the process may use; None: three quarters of what is free, 3 GB at most.
    """

    precision: str = "auto"
    tile: int | None = None
    memory: int | None = None

    def dtype(self, device: torch.device) -> torch.dtype:
        """Type of the features."""
        bf16 = self.precision == "bf16" or (self.precision == "auto" and hardware_has_bf16(device.type))
        return torch.bfloat16 if bf16 else torch.float32


def _is_out_of_memory(error: BaseException) -> bool:
    told = str(error).lower()
    return "out of memory" in told or "can't allocate memory" in told or "could not create a memory" in told


def _rounded(length: int, multiple: int) -> int:
    return max(multiple, length // multiple * multiple)
