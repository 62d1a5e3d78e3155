"""Slices as samples of a flow: each step in tiles that cannot be told from the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ctloupe.enhance.exact import ExactSliceEnhancer
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.network.fast_rewrite import rewritten
from ctloupe.enhance.network.tiles import Range
from ctloupe.enhance.noise_of_place import noise_of_place
from ctloupe.enhance.options import STEPS, EnhanceOptions, quantile_name
from ctloupe.enhance.samples import KeptSamples, RunningMoments
from ctloupe.enhance.tiling import Tiling
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.flow.deviation import share_left_open
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.networks.flow.mean import MeanNetwork
from ctloupe.networks.neighbours import slice_alone
from ctloupe.networks.receptive_field import ReceptiveField, trace
from ctloupe.networks.tile import Tile

TRACED: Final = 32
"""Side in scan voxels of the image on which the reach of a step is found."""

_LARGER = 2
"""How much higher and wider tiles of a step are than those of the mean: they overlap, and so less of them is computed
twice (`python benchmarks/methods.py`)."""

_BICUBIC_REACH = 3
"""Scan voxels on either side that bicubic enlargement depends on, and one to spare."""


@dataclass(frozen=True)
class _Beginning:
    """What all samples of a slice have in common.

    Attributes
    ----------
    image, index
        The slice of the scan in [−1, 1] with its neighbours where the network looks at them, and its number.
    wanted
        Tiles of each step; see `FlowSliceEnhancer._wanted`.
    heading : (1, s², h, w)
        Where the first step of every sample heads, in the tiles of that step.
    bicubic : (s·h, s·w)
        Bicubic enlargement in [−1, 1].
    """

    image: Tensor
    index: int
    wanted: list[list[Tile]]
    heading: Tensor
    bicubic: Tensor


@dataclass(frozen=True)
class Drawn:
    """What samples of a slice say.

    Attributes
    ----------
    chosen : (s·h, s·w)
        The sample of the seed in HU; None where the slice is to be the mean.
    deviation : (s·h, s·w)
        Their standard deviation in HU.
    quantile
        Gives the quantile of a probability in a part of the slice, in HU.
    """

    chosen: Tensor | None = None
    deviation: Tensor | None = None
    quantile: Callable[[float, tuple[slice, slice]], Tensor] | None = None


class FlowSliceEnhancer(ExactSliceEnhancer):
    """A flow that computes its posterior mean, samples of the posterior, and how far they may be off.

    With ``options.output`` ``sample`` a slice is the sample of the seed, else the posterior mean; with
    ``options.samples`` its deviation is that of so many samples about their own mean, and with
    ``options.uncertainty`` the one that the network has learnt of the errors of its mean; ``options.invented`` sets the
    latter in proportion to the spread of the µCT. A step of the flow is computed in
    tiles that overlap by the reach of one step; steps are taken one after the other over all of the slice that is
    wanted.

    Parameters
    ----------
    model, options, spacing, tiling, tell
        See `ExactSliceEnhancer`; the network of `model` is a `FlowEnhancer`.
    corner
        First row and column of the enhanced part in the whole scan.
    """

    flat_by_default = True

    def __init__(
        self,
        model: LoadedModel,
        options: EnhanceOptions,
        spacing: tuple[float, float],
        tiling: Tiling,
        tell: Callable[[str], None] = lambda text: None,
        corner: tuple[int, int] = (0, 0),
    ) -> None:
        flow = model.network
        if not isinstance(flow, FlowEnhancer):
            raise ValueError("a flow slice enhancer needs a flow")
        flow = flow.to("cpu").float()
        self._learnt = options.uncertainty or options.invented
        mean = MeanNetwork(flow, deviation=self._learnt)
        super().__init__(replace(model, network=mean), options, spacing, tiling, tell)
        self.corner, self.neighbours = corner, int(flow.neighbours)
        self._prior = flow.prior if self._learnt else torch.ones(1)
        self._flow = rewritten(flow, self.precision).to(self.device)
        self._reach = self._traced(flow)

    def _traced(self, flow: FlowEnhancer) -> ReceptiveField:
        """How far one step looks, in scan voxels."""
        image = torch.zeros(1, 1, TRACED, TRACED)
        guess = torch.zeros(1, self.scale**2, TRACED, TRACED)
        return trace(partial(flow.advanced, time=0.5, until=1.0), image, guess)

    def footprint(self, shape: tuple[int, int]) -> float:
        """Bytes of features in work for a slice of `shape` on the scan's grid."""
        if not (self.options.samples or self.options.output == "sample"):
            return super().footprint(shape)
        planes = 5.0 * 4 * shape[0] * shape[1] * self.scale**2
        if self.options.quantiles:
            # The samples themselves, once as they are made and once in whole HU.
            planes += 6.0 * self.options.samples * shape[0] * shape[1] * self.scale**2
        height, width = self.tile or shape
        # A step computes the coarse part of its tiles with them, and what overlaps anew.
        halo = 2 * self._reach.halo
        wider = (_LARGER * height + halo) * (_LARGER * width + halo) / (height * width)
        return planes + wider * super().footprint(shape)

    def _tiles(self, image: Tensor, tiles: list[Tile], index: int) -> Iterator[tuple[Tile, Tensor, dict[str, Tensor]]]:
        """Values of each tile in HU, and the maps of `EnhanceOptions.beside`."""
        drawn = Drawn()
        if self.options.samples or self.options.output == "sample":
            drawn = self._draw(image, tiles, index)
        if drawn.chosen is not None and not self._learnt:
            for tile in tiles:
                yield tile, self._cut(drawn.chosen, tile), self._maps(None, drawn, image, tile)
            return
        for tile, out in self._passes(image, tiles):
            values = self._in_hu(out, image, tile) if drawn.chosen is None else self._cut(drawn.chosen, tile)
            yield tile, values, self._maps(out, drawn, image, tile)

    def _maps(self, out: Tensor | None, drawn: Drawn, image: Tensor, tile: Tile) -> dict[str, Tensor]:
        """Maps of a tile, from what the network gave for it and from the samples."""
        maps: dict[str, Tensor] = {}
        if drawn.deviation is not None:
            maps["deviation"] = self._cut(drawn.deviation, tile)
        if drawn.quantile is not None:
            place = self._place(tile)
            maps |= {quantile_name(one): drawn.quantile(one, place) for one in self.options.quantiles}
        log_deviation = out[1].float().cpu() if out is not None and self._learnt else None
        if log_deviation is not None and self.options.uncertainty:
            maps["deviation"] = log_deviation.exp() * ((self.window.high - self.window.low) / 2)
        if log_deviation is not None and self.options.invented:
            maps["invented"] = share_left_open(log_deviation, self._bicubic(image, tile), self._prior)
        return maps

    def _draw(self, image: Tensor, tiles: list[Tile], index: int) -> Drawn:
        """Draw the samples that the options ask for, in all of the slice that `tiles` cover."""
        begun = self._begun(image, tiles, index)
        first = self._sample(begun, 0) if self.options.output == "sample" else None
        if not self.options.samples:
            return Drawn(first)
        moments, images = RunningMoments(), []
        for sample in range(self.options.samples):
            known = first if sample == 0 else None
            made = self._sample(begun, sample) if known is None else known
            moments.add(made)
            if self.options.quantiles:
                images.append(made)
        return Drawn(first, moments.deviation, KeptSamples(images).quantile if images else None)

    def _cut(self, plane: Tensor, tile: Tile) -> Tensor:
        return plane[self._place(tile)]

    def _place(self, tile: Tile) -> tuple[slice, slice]:
        """Rows and columns of a tile on the fine grid."""
        return self._fine_part((slice(*tile.y), slice(*tile.x)))

    def _fine_part(self, part: tuple[slice, slice]) -> tuple[slice, slice]:
        """Rows and columns of a part of the scan on the fine grid."""
        rows, columns = (slice(one.start * self.scale, one.stop * self.scale) for one in part)
        return rows, columns

    def _begun(self, image: Tensor, tiles: list[Tile], index: int) -> _Beginning:
        """What samples of a slice begin with: at time 0 the network does not look at the noise."""
        assert isinstance(self._flow, FlowEnhancer)
        wanted = self._wanted(tiles, image.shape[-2:])
        heading = torch.zeros(1, self.scale**2, *image.shape[-2:])
        for tile in wanted[0]:
            part, inner = self._parts(tile)
            heading[..., slice(*tile.y), slice(*tile.x)] = self._flow.begun(image[..., *part])[..., *inner].cpu()
        return _Beginning(image, index, wanted, heading, enlarge_bicubic(slice_alone(image).cpu(), self.scale)[0, 0])

    def _sample(self, begun: _Beginning, sample: int) -> Tensor:
        """One sample in HU where the tiles of the last step are; elsewhere the result means nothing."""
        flow, image, steps = self._flow, begun.image, len(begun.wanted)
        assert isinstance(flow, FlowEnhancer)
        everything = slice(0, image.shape[-2]), slice(0, image.shape[-1])
        guess = self._noise(everything, begun.index, sample).mul_(flow.spread).lerp_(begun.heading, 1 / steps)
        for step, tiles in enumerate(begun.wanted[1:], 1):
            moved = torch.empty_like(guess)
            for tile in tiles:
                part, inner = self._parts(tile)
                seen = guess[..., *part].to(image.device)
                made = flow.advanced(image[..., *part], seen, step / steps, (step + 1) / steps)
                moved[..., slice(*tile.y), slice(*tile.x)] = made[..., *inner].cpu()
            guess = moved
        return self._in_hu_with(begun.bicubic, guess, begun.wanted[-1])

    def _parts(self, tile: Tile) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """What one step of a tile depends on, and where the tile lies in it."""
        y, x = self._around(tile)
        part = slice(y.begin, y.end), slice(x.begin, x.end)
        return part, (slice(y.start - y.begin, y.stop - y.begin), slice(x.start - x.begin, x.stop - x.begin))

    def _noise(self, part: tuple[slice, slice], index: int, sample: int) -> Tensor:
        """What a sample begins with in a part of the scan, ``(1, s², h, w)``."""
        rows, columns = ((first + one.start, first + one.stop) for first, one in zip(self.corner, part, strict=True))
        drawn = noise_of_place(self.options.seed, index, sample, rows, columns, self.scale**2)
        return torch.from_numpy(drawn)[None]

    def _around(self, tile: Tile) -> tuple[Range, Range]:
        """Rows and columns that one step of a tile depends on."""
        reach = self._reach
        return Range.around(*tile.y, tile.height, reach), Range.around(*tile.x, tile.width, reach)

    def _wanted(self, tiles: list[Tile], shape: torch.Size) -> list[list[Tile]]:
        """Tiles of each step: for the last what `tiles` cover, for the others what the next depends on."""
        found = [self._regrouped(tiles, shape)]
        while len(found) < (self.options.steps or STEPS):
            needed = np.zeros(tuple(shape), bool)
            for tile in found[0]:
                y, x = self._around(tile)
                needed[y.begin : y.end, x.begin : x.end] = True
            found.insert(0, self._tiles_of_a_step(shape, needed))
        return found

    def _regrouped(self, tiles: list[Tile], shape: torch.Size) -> list[Tile]:
        """Tiles of a step that cover what `tiles` do."""
        needed = np.zeros(tuple(shape), bool)
        for tile in tiles:
            needed[slice(*tile.y), slice(*tile.x)] = True
        return self._tiles_of_a_step(shape, needed)

    def _tiles_of_a_step(self, shape: torch.Size, needed: NDArray[np.bool_]) -> list[Tile]:
        tile = None if self._tile is None else (_LARGER * self._tile[0], _LARGER * self._tile[1])
        return self.network.tiles((shape[0], shape[1]), tile, needed)

    def _in_hu_with(self, bicubic: Tensor, guess: Tensor, tiles: list[Tile]) -> Tensor:
        """Add a sample to the bicubic enlargement, tile by tile, and bring to HU."""
        plane = torch.zeros_like(bicubic)
        for tile in tiles:
            added = F.pixel_shuffle(guess[..., slice(*tile.y), slice(*tile.x)], self.scale)[0, 0]
            place = self._place(tile)
            plane[place] = self.window.from_unit(added.add_(bicubic[place]).clamp_(-1, 1))
        return plane

    def _bicubic(self, scan: Tensor, tile: Tile) -> Tensor:
        """Bicubic enlargement of a tile of a scan, on the processor."""
        top, left = max(0, tile.y[0] - _BICUBIC_REACH), max(0, tile.x[0] - _BICUBIC_REACH)
        around = slice_alone(scan)[..., top : tile.y[1] + _BICUBIC_REACH, left : tile.x[1] + _BICUBIC_REACH]
        own = Tile((tile.y[0] - top, tile.y[1] - top), (tile.x[0] - left, tile.x[1] - left), tile.height, tile.width)
        return self._cut(enlarge_bicubic(around.cpu(), self.scale)[0, 0], own)
