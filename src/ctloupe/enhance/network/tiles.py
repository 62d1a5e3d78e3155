"""A network applied to a whole slice tile by tile, so that the tiles cannot be told from the slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ctloupe.networks.receptive_field import ReceptiveField, receptive_field_of, trace
from ctloupe.networks.split import SplitNetwork
from ctloupe.networks.tile import Tile

TRACE_SIZE = 32


@dataclass(frozen=True)
class Range:
    """Rows or columns of the coarse grid: those wanted, and those that they depend on."""

    start: int
    stop: int
    begin: int
    end: int

    @classmethod
    def around(cls, start: int, stop: int, length: int, field: ReceptiveField) -> Range:
        """Widen ``start … stop`` by the receptive field, to whole multiples, but not beyond the image."""
        multiple = field.multiple
        begin = max(0, (start - field.before) // multiple * multiple)
        end = min(length, -(-(stop + field.after) // multiple) * multiple)
        return cls(start, stop, begin, end)


class TiledNetwork:
    """An enhancer cut into what is computed once per slice and what is computed tile by tile.

    A `SplitNetwork` computes its coarse features on the whole slice and renders in tiles whose overlap is the receptive
    field of ``render`` alone; any other network runs as a whole in tiles. What has operations over the whole image is
    not cut.

    Parameters
    ----------
    plain
        The network before it was rewritten for speed, which is traced.
    network
        The network that is run.
    scale
        In-plane enlargement: output pixels per input pixel and axis.
    """

    def __init__(self, plain: nn.Module, network: nn.Module, scale: int) -> None:
        self.plain, self.network, self.scale = plain, network, scale
        self.whole = receptive_field_of(plain, TRACE_SIZE)
        self.of_tile = self.whole
        if isinstance(plain, SplitNetwork):
            device = next(iter((*plain.parameters(), *plain.buffers()))).device
            image = torch.zeros(1, 1, TRACE_SIZE, TRACE_SIZE, device=device)
            with torch.no_grad():
                features = plain.coarse_features(image)
            self.of_tile = trace(plain.render, features, image)

    @property
    def is_split(self) -> bool:
        """Whether part of it is computed once for a whole slice."""
        return isinstance(self.network, SplitNetwork)

    @property
    def is_local(self) -> bool:
        """Whether no part of it looks at the whole slice."""
        return not self.whole.everything

    @property
    def is_cut(self) -> bool:
        """Whether what is computed tile by tile can be."""
        return not self.of_tile.everything

    def tiles(self, shape: tuple[int, int], size: tuple[int, int], wanted: NDArray[np.bool_] | None) -> list[Tile]:
        """Lay tiles without overlap over a slice; those with nothing wanted in them are left out.

        Parameters
        ----------
        shape
            Shape of the slice on the scan's grid.
        size
            Rows and columns of a tile on the scan's grid.
        wanted : bool, of `shape`
            Where a result is needed; None: everywhere.
        """
        height, width = shape
        if not self.is_cut:
            size = shape
        found = [
            Tile((top, min(height, top + size[0])), (left, min(width, left + size[1])), height, width)
            for top in range(0, height, size[0])
            for left in range(0, width, size[1])
        ]
        return [tile for tile in found if wanted is None or wanted[slice(*tile.y), slice(*tile.x)].any()]

    def coarse(self, image: Tensor, tiles: list[Tile]) -> tuple[Any, Range, Range]:
        """Compute once what the tiles share, for the rectangle around them.

        Parameters
        ----------
        image : (1, 1, h, w) in [−1, 1]
            The whole slice.
        tiles
            Not empty.

        Returns
        -------
        features, rows, columns
            `features` may be None; rows and columns say which part of the slice they are of.
        """
        height, width = image.shape[-2:]
        rows, columns = self._around(tiles, height, width)
        if not isinstance(self.network, SplitNetwork):
            return None, rows, columns
        part = image[..., rows.begin : rows.end, columns.begin : columns.end]
        return self.network.coarse_features(part), rows, columns

    def _around(self, tiles: list[Tile], height: int, width: int) -> tuple[Range, Range]:
        if not self.is_local:
            return Range(0, height, 0, height), Range(0, width, 0, width)
        return (
            Range.around(min(tile.y[0] for tile in tiles), max(tile.y[1] for tile in tiles), height, self.whole),
            Range.around(min(tile.x[0] for tile in tiles), max(tile.x[1] for tile in tiles), width, self.whole),
        )

    def inputs(self, image: Tensor, shared: tuple[Any, Range, Range], tile: Tile) -> tuple[tuple[Any, ...], Tile]:
        """What the network is given for a tile, and the larger tile that this is."""
        features, rows, columns = shared
        if self.is_cut:
            y = Range.around(*tile.y, tile.height, self.of_tile)
            x = Range.around(*tile.x, tile.width, self.of_tile)
        else:
            y, x = rows, columns
        wider = Tile((y.begin, y.end), (x.begin, x.end), tile.height, tile.width)
        part = image[..., y.begin : y.end, x.begin : x.end]
        if not self.is_split:
            return (part,), wider
        key = (_relative(y, rows), _relative(x, columns))
        return (_cut(features, key), part), wider

    def function(self) -> nn.Module:
        """What is called with those inputs."""
        return _Rendered(self.network) if isinstance(self.network, SplitNetwork) else self.network

    def middle(self, output: Tensor, wider: Tile, tile: Tile) -> Tensor:
        """The part of the output that belongs to `tile`."""
        top, left = (tile.y[0] - wider.y[0]) * self.scale, (tile.x[0] - wider.x[0]) * self.scale
        rows, columns = (tile.y[1] - tile.y[0]) * self.scale, (tile.x[1] - tile.x[0]) * self.scale
        return output[..., top : top + rows, left : left + columns]


class _Rendered(nn.Module):
    """The second half of a network, as a module."""

    def __init__(self, network: SplitNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Any, image: Tensor) -> Tensor:
        return self.network.render(features, image)


def _relative(wanted: Range, whole: Range) -> slice:
    """Rows of the features for the wanted range; to their end when it is the last one, since padding may follow."""
    return slice(wanted.begin - whole.begin, None if wanted.end == whole.end else wanted.end - whole.begin)


def _cut(features: Any, key: tuple[slice, slice]) -> Any:
    if isinstance(features, tuple):
        return tuple(_cut(one, key) for one in features)
    return features[..., key[0], key[1]].contiguous(memory_format=torch.channels_last)


def halved(size: tuple[int, int], multiple: int) -> tuple[int, int] | None:
    """A tile of half the area, in whole multiples; None when it cannot be smaller."""
    longer = 0 if size[0] >= size[1] else 1
    smaller = max(multiple, size[longer] // 2 // multiple * multiple)
    if smaller == size[longer]:
        return None
    return (smaller, size[1]) if longer == 0 else (size[0], smaller)
