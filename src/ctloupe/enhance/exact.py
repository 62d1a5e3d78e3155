"""One slice in, one enhanced slice out, in tiles that cannot be told from the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ctloupe.enhance.back_projection import difference, make_consistent
from ctloupe.enhance.bicubic import enlarged_within
from ctloupe.enhance.blending import Blend
from ctloupe.enhance.flat_field import FlatField
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.network.fast_rewrite import rewritten
from ctloupe.enhance.network.fold import folded
from ctloupe.enhance.network.footprint import COARSE_COPIES, Footprint
from ctloupe.enhance.network.tiles import TiledNetwork, halved
from ctloupe.enhance.options import EnhanceOptions, is_of_values
from ctloupe.enhance.samples import RunningMoments
from ctloupe.enhance.slice_enhancer import EnhancedSlice, channels_of
from ctloupe.enhance.tiling import Tiling
from ctloupe.foundation.errors import OptionError
from ctloupe.networks.dropout import Draw, drawing
from ctloupe.networks.replay import replayed
from ctloupe.networks.tile import Tile, placed


class ExactSliceEnhancer:
    """A calibrated network that computes slices in tiles which cannot be told from the whole; see `SliceEnhancer`.

    Parameters
    ----------
    model
        Model whose network is calibrated and in evaluation mode.
    options
        How slices are enhanced; `samples`, `seed`, `consistent`, `flat_field`, `blend`, `blend_outside` and
        `precision` are followed.
    spacing
        Distance of rows and of columns of the scan in mm.
    tiling
        How slices are cut; the sides of a tile are rounded to what the network can be cut at.
    tell
        Called with a line of text when a tile had to be made smaller.
    """

    flat_by_default: ClassVar[bool] = False
    """Whether the mesh of flat images is taken off unless something else is asked for."""

    neighbours: int = 0
    """Slices on either side that the network looks at."""

    def __init__(
        self,
        model: LoadedModel,
        options: EnhanceOptions,
        spacing: tuple[float, float],
        tiling: Tiling,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        if model.network is None:
            raise ValueError("an exact slice enhancer needs a network")
        self.scale, self.window, self.device = model.scale, model.window, model.device
        self.limits = model.limits
        self.options, self.spacing, self.tell = options, spacing, tell
        self.precision = options.dtype(model.device)
        plain = folded(model.network.to("cpu")).float()
        self.network = TiledNetwork(plain, rewritten(plain, self.precision).to(self.device), self.scale)
        multiple = self.network.of_tile.multiple
        self._tile = _rounded(tiling.tile[0], multiple), _rounded(tiling.tile[1], multiple)
        self._copies = max(1, tiling.copies)

    @cached_property
    def _flat(self) -> FlatField | None:
        """The mesh to take off, where that was asked for; found when the network's values are first needed."""
        asked = self.options.flat_field
        if asked == "off" or (asked == "auto" and not self.flat_by_default):
            return None
        network = self.network
        return FlatField.of(network.network, self.scale, max(network.whole.halo, network.whole.multiple), self.device)

    @property
    def tiling(self) -> Tiling:
        """How slices are cut."""
        return Tiling(tile=self._tile, copies=self._copies)

    @property
    def tile(self) -> tuple[int, int] | None:
        """Rows and columns of a tile on the scan's grid; None when a slice is computed whole."""
        return self._tile if self.network.is_cut else None

    def use(self, tiling: Tiling) -> None:
        """Cut slices as an earlier run did."""
        self._tile, self._copies = tiling.tile, tiling.copies

    def footprint(self, shape: tuple[int, int]) -> float:
        """Bytes of features in work for a slice of `shape` on the scan's grid."""
        network = self.network
        needs = Footprint.of(network.plain, 2 if self.precision == torch.bfloat16 else 4)
        height, width = self.tile or shape
        halo = 0 if network.is_split else 2 * network.of_tile.halo
        of_tile = 2 * (height + halo) * (width + halo) * needs.tile
        copies = COARSE_COPIES + self.options.keeps_memory(self.device)
        return copies * needs.coarse * shape[0] * shape[1] + of_tile * (self._copies if self.options.samples else 1)

    @torch.inference_mode()
    def rounding(self, patches: Tensor) -> float:
        """Root mean square difference in HU to the network in float32, on patches ``(n, 1, p, p)`` in [−1, 1]."""
        exact = self.network.plain(patches.cpu())[:, :1]
        found = self.network.network(patches.to(self.device))[:, :1].cpu()
        return float(
            (self.window.from_unit(found.float()) - self.window.from_unit(exact.float())).square().mean().sqrt()
        )

    @torch.inference_mode()
    def enhance(self, hu: NDArray[np.number], mask: NDArray[np.bool_] | None, index: int) -> EnhancedSlice:
        """Enhance one slice; see `SliceEnhancer.enhance`."""
        seen = channels_of(hu)
        scan = seen[0]
        shape = (scan.shape[0], scan.shape[1])
        fine = (shape[0] * self.scale, shape[1] * self.scale)
        everywhere = mask is None or bool(mask.all())
        mask = np.ones(scan.shape, bool) if mask is None else mask
        blend = (
            None if everywhere else Blend(mask, self.spacing, self.options.blend, outside=self.options.blend_outside)
        )
        wanted = None if blend is None else blend.wanted
        while True:
            tiles = self.network.tiles(shape, self._tile, wanted)
            # Begun anew on every try: a tile blended twice would be too much of the network's.
            plane = torch.empty(fine) if everywhere else self._interpolated(scan)
            beside = {name: plane.clone() if is_of_values(name) else torch.zeros(fine) for name in self.options.beside}
            try:
                self._fill(plane, beside, seen, blend, tiles, index)
                break
            except (MemoryError, RuntimeError) as error:
                self._shrink(error)
        total = len(self.network.tiles(shape, self._tile, None))
        if self.options.consistent:
            make_consistent(plane, scan, mask, self.scale)
        off = difference(plane, scan, self.scale)[mask]
        return EnhancedSlice.of(plane, beside, off, total, total - len(tiles))

    def _interpolated(self, scan: Tensor) -> Tensor:
        return enlarged_within(scan[None, None], self.scale, self.limits)[0, 0]

    def _fill(
        self,
        plane: Tensor,
        beside: dict[str, Tensor],
        seen: Tensor,
        blend: Blend | None,
        tiles: list[Tile],
        index: int,
    ) -> None:
        """Write every tile into `plane` in HU, and the maps that were asked for into `beside`."""
        if not tiles:
            return
        for tile, mean, maps in self._tiles(self.window.to_unit(seen[None]).to(self.device), tiles, index):
            for part in (tile,) if blend is None else blend.parts(tile, self.scale):
                place, inner = self._pixels(part, (0, 0)), self._pixels(part, (tile.y[0], tile.x[0]))
                weight = None if blend is None else blend.weight(part, self.scale)
                if weight is None:
                    plane[place] = mean[inner]
                else:
                    plane[place].lerp_(mean[inner], weight)
                for name, whole in maps.items():
                    made = whole[inner]
                    if weight is not None:
                        made = torch.lerp(beside[name][place], made, weight) if is_of_values(name) else made * weight
                    beside[name][place] = made

    def _pixels(self, tile: Tile, origin: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of fine pixels of a tile, counted from the first of the scan voxel `origin`."""
        rows, columns = (
            slice((ends[0] - first) * self.scale, (ends[1] - first) * self.scale)
            for ends, first in zip((tile.y, tile.x), origin, strict=True)
        )
        return rows, columns

    def _tiles(self, image: Tensor, tiles: list[Tile], index: int) -> Iterator[tuple[Tile, Tensor, dict[str, Tensor]]]:
        """Values of each tile in HU, and the maps of `EnhanceOptions.beside`."""
        if not self.options.samples:
            yield from ((tile, self._in_hu(out, image, tile), {}) for tile, out in self._passes(image, tiles))
            return
        tiled = self.network
        shared = tiled.coarse(image, tiles)
        function = tiled.function()
        for tile in tiles:
            inputs, wider = tiled.inputs(image, shared, tile)
            with placed(tiled.network, wider):
                moments = self._sampled(function, inputs, index, partial(tiled.middle, wider=wider, tile=tile))
            yield tile, self._without_mesh(moments.mean, image, tile), {"deviation": moments.deviation}

    def _passes(self, image: Tensor, tiles: list[Tile]) -> Iterator[tuple[Tile, Tensor]]:
        """What one pass of the network gives for each tile, ``(channels, s·rows, s·columns)``."""
        tiled = self.network
        shared = tiled.coarse(image, tiles)
        function = tiled.function()
        for tile in tiles:
            inputs, wider = tiled.inputs(image, shared, tile)
            with placed(tiled.network, wider):
                out = tiled.middle(function(*inputs), wider, tile)[0]
            yield tile, out

    def _in_hu(self, out: Tensor, image: Tensor, tile: Tile) -> Tensor:
        """Values of a tile in HU, from what the network gave."""
        return self._without_mesh(self.window.from_unit(out[0].float()).cpu(), image, tile)

    def _without_mesh(self, plane: Tensor, image: Tensor, tile: Tile) -> Tensor:
        """Take the mesh of flat images off the values of a tile in HU, in place."""
        if self._flat is not None:
            part = image[0, 0, tile.y[0] : tile.y[1], tile.x[0] : tile.x[1]].cpu()
            self._flat.take_off(plane, part, (self.window.high - self.window.low) / 2)
        return plane

    def _sampled(
        self, function: nn.Module, inputs: tuple[Tensor, ...], index: int, middle: Callable[[Tensor], Tensor]
    ) -> RunningMoments:
        """Mean and spread over the passes, some at a time; what precedes the first dropout is computed once."""
        moments, samples = RunningMoments(), self.options.samples
        with replayed(function) as again:
            for first in range(0, samples, self._copies):
                draw = Draw(self.options.seed * 1_000_003 + index, first, min(self._copies, samples - first))
                with drawing(function, draw):
                    out = middle(again(*inputs))
                for one in self.window.from_unit(out[:, 0].float()).cpu():
                    moments.add(one)
        return moments

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
        if self._copies > 1:
            self._copies //= 2
            self.tell(f"out of memory: going on with {self._copies} passes at a time")
            return
        smaller = halved(self._tile, network.of_tile.multiple) if network.is_cut else None
        if smaller is None:
            why = f"it looks at the whole slice at once ({', '.join(network.whole.everything)})"
            raise OptionError(
                f"out of memory in a tile of {self._tile[0]}×{self._tile[1]} voxels"
                + (f", and this network cannot be cut further: {why}" if not network.is_local else "")
                + "; give a smaller `roi`, or a machine with more memory"
            ) from error
        self._tile = smaller
        self.tell(f"out of memory: going on with tiles of {smaller[0]}×{smaller[1]} voxels")


def _is_out_of_memory(error: BaseException) -> bool:
    told = str(error).lower()
    return "out of memory" in told or "can't allocate memory" in told or "could not create a memory" in told


def _rounded(length: int, multiple: int) -> int:
    return max(multiple, length // multiple * multiple)
