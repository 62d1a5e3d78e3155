"""Patches cut out of one volume: where they lie, and what is kept of them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import GeometryError, IntensityError, OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.prepare.neighbours import Neighbours, PlanesOf, planes_of
from ctloupe.volume.volume import Modality, Volume

Mask = NDArray[np.bool_]

_INT16: Final = np.iinfo(np.int16)
_MOST_KEPT: Final = 1 << 26
"""Bytes that the places of all slices may take; of more slices they are found twice."""
_COARSEST_WINDOW: Final = 500.0
"""A window at least this wide is resolved well enough by whole numbers."""


@dataclass(frozen=True)
class Places:
    """Which patches are cut out of a volume; see `PatchBank.sample`.

    Raises
    ------
    OptionError
        If sizes are not positive.
    """

    size: int
    """Side of a patch in pixels."""
    count: int
    """Number of patches."""
    seed: int
    """Seed of the choice."""
    stride: int | None = None
    """Step in pixels of a grid of places; None: any place."""

    def __post_init__(self) -> None:
        if self.size < 1 or self.count < 1 or (self.stride is not None and self.stride < 1):
            raise OptionError(f"patches of {self.size} pixels, {self.count} a volume: expected positive numbers")


@dataclass(frozen=True)
class Kept:
    """What is kept beside the patches; see `PatchBank.sample`."""

    thickness_mm: float | None = None
    """Thickness of a clinical slice; None: no averages."""
    neighbours: tuple[float, ...] | None = None
    """Slice spacings in mm; empty: the volume's own slices; None: no neighbours."""


@dataclass(frozen=True)
class VolumePatches:
    """What was cut out of one volume.

    Attributes
    ----------
    patches, averages : int16 (n, p, p)
        Patches as stored, and the same places averaged over the thickness of a clinical slice.
    neighbours
        What lies below and above.
    spacing : (y, x)
        In-plane spacing in mm.
    modality
        Modality of the volume.
    provenance
        Where they come from.
    """

    patches: NDArray[np.int16]
    averages: NDArray[np.int16] | None
    neighbours: Neighbours | None
    spacing: tuple[float, float]
    modality: Modality
    provenance: dict[str, Any]


def cut_volume(
    number: int,
    name: str,
    volume: Volume,
    mask: NDArray[Any] | None,
    places: Places,
    kept: Kept,
    window: IntensityWindow,
) -> VolumePatches:
    """Cut patches out of a volume.

    Parameters
    ----------
    number
        Number of the volume in its bank, which the choice of places depends on.
    name
        Name of the volume.
    volume, mask
        Where to cut; no mask: everywhere.
    places, kept, window
        Which patches, what beside them, and the window that integers are to resolve.

    Raises
    ------
    IntensityError
        If no patch fits into the mask.
    GeometryError
        If the mask is not on the grid of the volume.
    """
    slope, intercept = storage(window)
    seed, stride = (places.seed, number), places.stride
    inside = _as_mask(name, mask, volume)
    random = np.random.default_rng(seed)
    chosen, total = _choose(name, volume, inside, places.size, places.count, random, stride or 1, stride is None)
    planes = planes_of(volume, kept.thickness_mm, kept.neighbours, seed)
    stored, averages, around = _cut(volume, chosen, places.size, slope, intercept, planes)
    provenance = {
        "name": name,
        "shape": list(volume.shape),
        "spacing": list(volume.spacing),
        "mask_share": 1.0 if inside is None else round(np.count_nonzero(inside) / inside.size, 6),
        "patches": len(stored),
        "places": total,
        "drawn_twice": total < len(stored),
        "stride": stride,
        "thickness_mm": None if averages is None else kept.thickness_mm,
        "neighbours_mm": None if around is None else np.unique(around.spacings).tolist(),
        "seed": places.seed,
        "patches_sha256": hashlib.sha256(stored.data).hexdigest(),
        "history": list(volume.history),
    }
    spacing = volume.spacing[1], volume.spacing[2]
    return VolumePatches(stored, averages, around, spacing, volume.modality, provenance)


class _Cut(NamedTuple):
    """What was cut out of one volume."""

    patches: NDArray[np.int16]
    averages: NDArray[np.int16] | None
    neighbours: Neighbours | None


def storage(window: IntensityWindow) -> tuple[float, float]:
    """Return slope and intercept of the stored integers: values themselves where whole numbers resolve the window."""
    inside = window.low >= _INT16.min and window.high <= _INT16.max
    if inside and window.high - window.low >= _COARSEST_WINDOW:
        return 1.0, 0.0
    # A little room beyond the window, so that its ends are met exactly.
    return (window.high - window.low) / 60000, (window.low + window.high) / 2


def _as_mask(name: str, mask: NDArray[Any] | None, volume: Volume) -> Mask | None:
    if mask is None:
        return None
    if mask.shape != volume.shape:
        raise GeometryError(f"{name}: the mask has shape {mask.shape}, the volume {volume.shape}")
    return mask if mask.dtype == bool else mask != 0


def _choose(
    name: str,
    volume: Volume,
    mask: Mask | None,
    size: int,
    count: int,
    random: np.random.Generator,
    stride: int,
    repeat: bool,
) -> tuple[list[tuple[int, NDArray[np.int64], NDArray[np.int64]]], int]:
    """Slices with the top-left corners of their patches, and the number of places there were to choose from."""
    grid = _grid(mask, stride)
    valid = None if mask is None else _Valid(mask, size, grid)
    lengths = [length - size + 1 for length in volume.shape[1:]]
    everywhere = math.prod(max(0, -(-length // grid[0].step)) for length in lengths)
    places = np.full(volume.shape[0], everywhere) if valid is None else valid.counts()
    total = int(places.sum())
    if total == 0:
        where = "inside the mask" if mask is not None else "into its slices"
        raise IntensityError(
            f"{name}: no patch of {size}×{size} pixels fits {where} ({volume.shape[1]}×{volume.shape[2]} pixels); "
            "check the mask, or take a smaller patch"
        )
    wanted = count if repeat else min(count, total)
    chosen = np.sort(random.choice(total, wanted, replace=total < wanted))
    ends = np.cumsum(places)
    found = []
    for z in np.unique(np.searchsorted(ends, chosen, side="right")):
        first = ends[z] - places[z]
        ranks = chosen[(chosen >= first) & (chosen < ends[z])] - first
        flat = ranks if valid is None else valid.flat(int(z))[ranks]
        rows, columns = (np.arange(length)[one] for length, one in zip(lengths, grid, strict=True))
        found.append((int(z), rows[flat // len(columns)], columns[flat % len(columns)]))
    return found, total


def _cut(
    volume: Volume,
    chosen: list[tuple[int, NDArray[np.int64], NDArray[np.int64]]],
    size: int,
    slope: float,
    intercept: float,
    beside: PlanesOf,
) -> _Cut:
    """Cut the patches, slice by slice, and the same ones out of the planes that are kept beside the slices."""
    count, index = sum(len(tops) for _, tops, _ in chosen), 0
    kept: dict[str, NDArray[np.int16]] = {}
    spacings = np.empty(count, np.float32)
    for z, tops, lefts in chosen:
        found = beside(z)
        planes = {"patches": volume.data[z], "average": found.average, "below": found.below, "above": found.above}
        for name, plane in planes.items():
            if plane is None:
                continue
            if name not in kept:
                kept[name] = np.empty((count, size, size), np.int16)
            if len(tops) * size**2 > math.prod(volume.shape[1:]):
                plane = plane[:, :]
            for place, (top, left) in enumerate(zip(tops, lefts, strict=True), index):
                patch = plane[top : top + size, left : left + size]
                kept[name][place] = _stored(patch, slope, intercept)
        spacings[index : index + len(tops)] = found.spacing
        index += len(tops)
    around = Neighbours(np.stack([kept["below"], kept["above"]], 1), spacings) if "below" in kept else None
    return _Cut(kept["patches"], kept.get("average"), around)


class _Valid:
    """Where patches fit into a mask. Masks are worked out on blocks, so that many slices are like the one before."""

    def __init__(self, mask: Mask, size: int, grid: tuple[slice, slice]) -> None:
        self._mask, self._size, self._grid = mask, size, grid
        self._first: dict[int, int] = {}
        self._kept: dict[int, tuple[tuple[int, ...], NDArray[np.uint8]]] = {}
        self._room = _MOST_KEPT
        self._flat: tuple[int, NDArray[np.intp]] | None = None

    def counts(self) -> NDArray[np.int64]:
        """How many places of the grid a patch may begin at in each slice, so that it lies wholly inside."""
        found, like = np.zeros(len(self._mask), np.int64), -1
        for z, plane in enumerate(self._mask):
            if not plane.any():
                continue
            if like < 0 or not np.array_equal(plane, self._mask[like]):
                like, places = z, self._places(z)
                count = int(np.count_nonzero(places))
                packed = np.packbits(places)
                if packed.nbytes <= self._room:
                    self._room -= packed.nbytes
                    self._kept[z] = places.shape, packed
            found[z], self._first[z] = count, like
        return found

    def flat(self, z: int) -> NDArray[np.intp]:
        """Which places these are in a slice that has any, counted row by row."""
        like = self._first[z]
        if self._flat is None or self._flat[0] != like:
            if like in self._kept:
                shape, packed = self._kept[like]
                places = np.unpackbits(packed, count=math.prod(shape)).view(bool)
            else:
                places = self._places(like)
            self._flat = like, np.flatnonzero(places)
        return self._flat[1]

    def _places(self, z: int) -> Mask:
        return _valid(self._mask[z], self._size)[self._grid]


def _valid(mask: Mask, size: int) -> Mask:
    """Top-left corners of the squares of a mask that are wholly set."""
    if min(mask.shape) < size:
        return np.zeros((0, 0), bool)
    # Runs of any length are found from two shorter ones.
    length = 1
    while length < size:
        step = min(length, size - length)
        mask = mask[:-step] & mask[step:]
        mask = mask[:, :-step] & mask[:, step:]
        length += step
    return mask


def _grid(mask: Mask | None, stride: int) -> tuple[slice, slice]:
    """Rows and columns where patches may begin: every `stride`-th from the first that the mask touches."""
    if mask is None or stride == 1:
        return slice(0, None, stride), slice(0, None, stride)
    rows, columns = mask.any((0, 2)), mask.any((0, 1))
    return slice(int(rows.argmax()), None, stride), slice(int(columns.argmax()), None, stride)


def _stored(plane: Any, slope: float, intercept: float) -> NDArray[np.int16]:
    values = np.asarray(plane)
    if values.dtype == np.int16 and (slope, intercept) == (1.0, 0.0):
        return values
    scaled = np.rint((values.astype(np.float64) - intercept) / slope)
    return scaled.clip(_INT16.min, _INT16.max).astype(np.int16)
