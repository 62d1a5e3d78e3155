"""Everything that is looked at together: volumes in one frame, and the maps that can be laid over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ctloupe.display.agreement import disagreement, scan_offset
from ctloupe.display.cache import ArrayCache
from ctloupe.display.frame import Frame, place
from ctloupe.display.tiles import BORDER, NOTHING, TILE, Tiles
from ctloupe.foundation.memory import memory
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.volume.volume import Volume

Role = Literal["image", "uncertainty", "mask", "labels", "agreement"]

CACHE_BYTES: Final = 1 << 29
"""Most memory that parts of files are kept in, where the machine has several times as much."""

PRESETS: Final = {
    "lung": (-1000.0, 200.0),
    "soft tissue": (-160.0, 240.0),
    "bone": (-500.0, 1800.0),
}
"""Windows in HU by name; the fourth, of µCT, is the range of the values of each volume."""

_SAMPLE: Final = 1 << 18
"""Voxels that are looked at for the range of a volume's values."""


@dataclass(frozen=True)
class Layer:
    """A volume of a scene.

    Attributes
    ----------
    name
        What people read.
    role
        What it is shown as: an image in a pane of its own, or a map over the images.
    volume
        The volume.
    coarser
        Coarser copies that its file holds.
    of
        Number of the image that a map belongs to; None: it goes with all.
    growth
        Which of its slices are there, while it is being written; None: all.
    numbers
        What was measured of it, by metric.
    kept
        What has to live as long as the layer, as a temporary folder.
    """

    name: str
    role: Role
    volume: Volume
    coarser: tuple[Volume, ...] = ()
    of: int | None = None
    growth: Growth | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    kept: object = None


class Growth(Protocol):
    """What knows how far a volume that is still being written has come."""

    def finished(self) -> frozenset[int]:
        """Slices of the file that are there."""


@dataclass
class Scene:
    """Layers in one frame, ready to be read tile by tile.

    Attributes
    ----------
    layers
        Volumes, the first one an image whose axes the others are looked at in.
    frame
        These axes.
    tiles
        Tiles of each layer.
    """

    layers: tuple[Layer, ...]
    frame: Frame = field(init=False)
    tiles: tuple[Tiles, ...] = field(init=False)
    _counts: dict[int, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        cache = ArrayCache(min(CACHE_BYTES, memory().available // 4))
        self.frame = Frame.of(self.layers[0].volume)
        self.tiles = tuple(
            Tiles([place(one, self.frame) for one in (layer.volume, *layer.coarser)], cache, f"{number}")
            for number, layer in enumerate(self.layers)
        )

    def tile(self, number: int, axis: int, level: int, index: int, row: int, column: int) -> NDArray[Any]:
        """Return a tile of a layer; see `Tiles.tile`. Of a slice that is not written yet, it holds nothing."""
        tiles, growth = self.tiles[number], self.layers[number].growth
        made = tiles.tile(axis, level, index, row, column)
        own = tiles.finest
        if growth is not None and axis == own.slices_along and own.stored(axis, index) not in growth.finished():
            return np.full_like(made, NOTHING if tiles.wire == "int16" else np.nan)
        return made

    def finished(self) -> list[dict[str, Any]]:
        """How many slices of each layer are there, and whether that is all; `version` differs once there are more."""
        found = []
        for number, layer in enumerate(self.layers):
            total = layer.volume.shape[0]
            count = total if layer.growth is None else len(layer.growth.finished())
            if layer.growth is not None and count != self._counts.get(number):
                self.tiles[number].forget()
                self._counts[number] = count
            found.append({"name": layer.name, "count": count, "of": total, "whole": count == total, "version": count})
        return found

    def values(self, position: Sequence[float]) -> list[float | None]:
        """Return the value of every layer at a position (x, y, z) of the frame in mm; None where it has none."""
        return [tiles.value(position) for tiles in self.tiles]

    def described(self) -> dict[str, Any]:
        """Return what a page has to know, as plain data: no path, and nothing of a patient."""
        return {
            "notice": RESEARCH_NOTICE,
            "tile": TILE,
            "border": BORDER,
            "nothing": NOTHING,
            "axes": self.frame.axes.tolist(),
            "presets": {name: list(window) for name, window in PRESETS.items()},
            "layers": [self._layer(number) for number in range(len(self.layers))],
        }

    def _layer(self, number: int) -> dict[str, Any]:
        layer, tiles = self.layers[number], self.tiles[number]
        own = tiles.finest
        return {
            "name": layer.name,
            "role": layer.role,
            "of": layer.of,
            "units": layer.volume.units,
            "range": list(value_range((layer.volume, *layer.coarser)[-1])),
            "wire": tiles.wire,
            "shape": list(own.shape),
            "spacing": list(own.spacing),
            "edge": [own.edge(axis) for axis in range(3)],
            "planes": tiles.described(),
            "backwards": list(own.backwards),
            "ownAxes": own.own_axes,
            "growing": layer.growth is not None,
            "numbers": dict(layer.numbers),
        }


def with_agreement(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Add to images the map of how each agrees with the scan, the first one, where it is an enhancement of it."""
    scan = layers[0].volume
    added = []
    for number, layer in enumerate(layers):
        if layer.role != "image" or number == 0:
            continue
        found = scan_offset(scan, layer.volume)
        made = None if found is None or found[0] == 1 else disagreement(scan, layer.volume)
        if made is not None:
            added.append(
                Layer(f"{layer.name}: block mean minus scan", "agreement", made, of=number, growth=layer.growth)
            )
    return (*layers, *added)


def value_range(volume: Volume) -> tuple[float, float]:
    """Return the values below which one in 200 voxels lies, and above which one in 200 does, of a middle slice."""
    z, y, x = volume.shape
    step = max(1, int(np.sqrt(y * x / _SAMPLE)))
    # Rows are left out before they are read, where a file can do that.
    values = np.asarray(volume.data[z // 2, :: max(1, step), ::step], np.float32)
    return spread(values)


def spread(values: NDArray[Any]) -> tuple[float, float]:
    """Return the values below which one in 200 of these lies, and above which one in 200 does; NaN do not count."""
    low, high = (float(one) for one in np.nanquantile(np.asarray(values, np.float32), (0.005, 0.995)))
    return (low, high) if high > low else (low, low + 1.0)
