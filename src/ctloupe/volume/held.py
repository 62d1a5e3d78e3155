"""Decoded slices that are kept, so that chunks that span many slices are not decoded anew for each of them."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.volume.slabs import SLAB_BYTES
from ctloupe.volume.volume import LazyArray, Volume

_FEWEST: Final = 2
"""Layers that are kept at least: whoever looks at a slice and its neighbours crosses from one to the next."""


def held(volume: Volume, most: int) -> Volume:
    """Return a volume that is read in whole layers of chunks, and keeps those that were read last.

    A volume that goes through memory whole is decoded once, however often it is read. Of a larger one each chunk is
    decoded once every time that the slices are gone through in order.

    Parameters
    ----------
    volume
        Volume that is read on demand. What is in memory, or costs nothing to decode, is returned as it is.
    most
        Bytes that may be kept. Where two layers do not fit, the volume is returned as it is.
    """
    data = volume.data
    if not isinstance(data, LazyArray) or data.layers is None:
        return volume
    row = math.prod(data.shape[1:]) * data.dtype.itemsize
    layer = min(data.layers, data.shape[0]) * row
    count = -(-data.shape[0] // data.layers)
    if min(_FEWEST, count) * layer > most:
        return volume
    # Several thin layers are read at once, since the chunks of one call are decoded side by side.
    together = max(1, min(SLAB_BYTES, most // _FEWEST) // layer)
    layers = _Layers(data, data.layers * together, most)
    return volume.with_data(LazyArray(data.shape, data.dtype, layers.read, data.source))


class _Layers:
    """The layers of an array that were read last."""

    def __init__(self, data: LazyArray, thickness: int, most: int) -> None:
        self._data, self._thickness, self._most = data, thickness, most
        self._kept: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._bytes = 0

    def read(self, block: tuple[slice, slice, slice]) -> NDArray[Any]:
        """Return a block, put together from layers."""
        first, end = block[0].start // self._thickness, -(-block[0].stop // self._thickness)
        parts = []
        for number in range(first, end):
            start = number * self._thickness
            inside = slice(max(block[0].start - start, 0), block[0].stop - start)
            parts.append(self._layer(number)[inside, block[1], block[2]])
        if not parts:
            return np.empty((0, *(one.stop - one.start for one in block[1:])), self._data.dtype)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _layer(self, number: int) -> NDArray[Any]:
        if number not in self._kept:
            start = number * self._thickness
            size = self._data.dtype.itemsize * math.prod(self._data.shape[1:])
            size *= min(self._thickness, self._data.shape[0] - start)
            while self._kept and self._bytes + size > self._most:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
            layer = np.asarray(self._data[start : start + self._thickness]).view()
            # What is handed out are views: whoever wrote into one would change what others read.
            layer.flags.writeable = False
            self._kept[number] = layer
            self._bytes += layer.nbytes
        self._kept.move_to_end(number)
        return self._kept[number]
