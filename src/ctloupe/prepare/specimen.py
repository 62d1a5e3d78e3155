"""Which voxels of a µCT are the specimen: not the air around it, not the plastic cylinder that holds it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import gammaincinv
from skimage.filters import threshold_otsu
from skimage.morphology import convex_hull_image

from ctloupe.foundation.beside import each_beside
from ctloupe.foundation.errors import IntensityError
from ctloupe.prepare.morphology import Edges, block_edges, block_sums, expanded
from ctloupe.volume.volume import Volume

Mask = NDArray[np.bool_]

_BLOCKS_ACROSS: Final = 128
_STRIP_BYTES: Final = 1 << 21
"""Rows of a layer are summed in strips of this size, which stay in the cache between one pass and the next."""
_WAITING_BYTES: Final = 1 << 25
"""So much of a volume may wait for each thread that sums it."""
_FLAT: Final = 2.0
"""A block is flat when its values spread less than this many times the noise."""
_AIR_SHARE: Final = 0.15
"""Air reaches this far up from the air level towards the densest tissue."""
_CONTRAST: Final = 20.0
"""Block means of anything but noise range over at least this many of their own standard deviations."""
_BORDER_SHARE: Final = 0.05
"""Air outside the specimen takes at least this share of the lateral border; a cut airway takes less."""
_NARROW: Final = 3
"""Radius in blocks: narrower air is alveoli or pores and no way out of the specimen; narrower notches are filled."""
_ROUND: Final = 0.05
"""A cylinder's cross-section differs from a circle, and from slice to slice, by less than this share."""


def specimen_mask(volume: Volume) -> Mask:
    """Find the specimen in a µCT volume; its inner air spaces belong to it.

    Worked out on blocks of voxels: air is flat and dark; what of it reaches the lateral border, and does not lie
    in a hollow of the specimen that the view cuts, is outside. A wall of plastic around the rest shows as shells,
    seen from outside, that are flat and of one intensity; they are peeled off, with the air between them and the
    specimen. A volume cut out of a specimen has neither, and the whole of it is the mask. A wall thinner than
    about a fortieth of the view, or one that the view cuts, is not recognised: look at the overlay.

    Parameters
    ----------
    volume
        µCT in any units in which air is darkest.

    Returns
    -------
    bool array of the shape of `volume`

    Raises
    ------
    IntensityError
        If nothing but air is found.
    """
    with ThreadPoolExecutor(1) as beside:
        # The first touch of so much memory takes time, of which there is enough while the volume is read.
        room = beside.submit(np.full, volume.shape, False)
        body, edges = _body(volume)
        return expanded(_filled(body), edges, volume.shape, room.result())


def _body(volume: Volume) -> tuple[Mask, tuple[Edges, Edges, Edges]]:
    """Return the blocks that are the specimen, with its notches and holes, and where blocks begin."""
    stride = max(2, -(-max(volume.shape[1:]) // _BLOCKS_ACROSS))
    # The statistics come first, since they read the volume in order, and what they have read is often kept.
    statistics = _Statistics.of(volume, (stride, stride, stride))
    noise = _noise(volume.data)
    blocks = _Blocks.of(statistics, noise)
    if float(np.ptp(blocks.mean)) <= _CONTRAST * noise / stride**1.5:
        raise IntensityError("no specimen found in the µCT: it is of one intensity; give `micro_mask` none or a file")
    cylinder = _cylinder(blocks)
    plastic = _plastic_shells(cylinder, blocks)
    if cylinder.any() and not plastic.any():
        # A wall of one or two blocks holds none that is all wall. It is the same in every slice: long, slim blocks fit.
        slim = _Blocks.of(_Statistics.of(volume, (2 * stride, -(-stride // 2), -(-stride // 2))), noise)
        thin = _plastic_shells(_cylinder(slim), slim)
        if thin.any():
            blocks, plastic = slim, thin
    body = _within(plastic, blocks.air) if plastic.any() else _largest(~_outside(blocks.air))
    if not body.any():
        raise IntensityError(
            "no specimen found in the µCT: it looks like air throughout; give `micro_mask` none or a file"
        )
    return body, blocks.edges


def threshold_box(volume: Volume, threshold: float | None = None) -> tuple[slice, slice, slice]:
    """Find the bounding box of what is brighter than `threshold`, as ISBI 2021 crops the background.

    Parameters
    ----------
    volume
        Volume of any modality.
    threshold
        Threshold in the units of the volume; None takes Otsu's.

    Raises
    ------
    IntensityError
        If nothing is brighter.
    """
    if threshold is None:
        every = max(1, int(np.prod(volume.shape)) // 2_000_000)
        sample = np.concatenate([np.asarray(volume.data[z]).ravel()[::every] for z in range(volume.shape[0])])
        if sample.min() == sample.max():
            raise IntensityError("the volume is constant: there is nothing to crop to")
        threshold = float(threshold_otsu(sample))
    along = [np.zeros(length, bool) for length in volume.shape]
    for z in range(volume.shape[0]):
        bright = np.asarray(volume.data[z]) > threshold
        along[0][z] = bright.any()
        along[1] |= bright.any(1)
        along[2] |= bright.any(0)
    if not along[0].any():
        raise IntensityError(f"nothing is brighter than the threshold {threshold:g}; give a lower one")
    ends = [np.flatnonzero(one)[[0, -1]] for one in along]
    box = [slice(int(first), int(last) + 1) for first, last in ends]
    return box[0], box[1], box[2]


@dataclass(frozen=True)
class _Statistics:
    """Mean and standard deviation of each block of voxels."""

    edges: tuple[Edges, Edges, Edges]
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]

    @classmethod
    def of(cls, volume: Volume, strides: tuple[int, int, int]) -> _Statistics:
        """Go through a volume once; one layer of blocks is read at a time."""
        data, shape = volume.data, volume.shape
        layers, rows, columns = (block_edges(length, stride) for length, stride in zip(shape, strides, strict=True))
        depths = np.diff(layers, append=shape[0])
        area = np.multiply.outer(np.diff(rows, append=shape[1]), np.diff(columns, append=shape[2]))
        slabs = (np.asarray(data[int(start) : int(start + depth)]) for start, depth in zip(layers, depths, strict=True))
        # Where many slices are decoded at once, what is in them is summed while the next ones are decoded.
        ahead = max(1, _WAITING_BYTES // (strides[0] * math.prod(shape[1:]) * data.dtype.itemsize))
        means, spreads = [], []
        found = each_beside(lambda slab: _block_sums(slab, rows, columns), slabs, ahead=ahead)
        for depth, sums in zip(depths, found, strict=True):
            mean = sums[0] / (area * depth)
            means.append(mean)
            spreads.append(np.sqrt(np.maximum(sums[1] / (area * depth) - mean**2, 0)))
        edges = layers, rows, columns
        return cls(edges, np.stack(means).astype(np.float32), np.stack(spreads).astype(np.float32))


@dataclass(frozen=True)
class _Blocks:
    """What is known of each block of voxels: its mean, whether it holds one material, whether that is air."""

    edges: tuple[Edges, Edges, Edges]
    mean: NDArray[np.float32]
    flat: Mask
    air: Mask

    @classmethod
    def of(cls, found: _Statistics, noise: float) -> _Blocks:
        flat = found.spread <= _FLAT * max(noise, 1e-3 * float(np.ptp(found.mean)))
        return cls(found.edges, found.mean, flat, _air(found.mean, flat))


def _block_sums(slab: NDArray[Any], rows: Edges, columns: Edges) -> NDArray[np.float64]:
    """Return the sums of the values of each block of a layer, and of their squares, ``(2, y, x)``."""
    depth, height, width = slab.shape
    planes = np.empty((2, height, width))
    step = max(1, _STRIP_BYTES // (8 * depth * width))
    # What float32 holds exactly needs no detour.
    exact = np.can_cast(slab.dtype, np.float32)
    for first in range(0, height, step):
        strip = slice(first, first + step)
        values = (slab[:, strip] if exact else slab[:, strip].astype(np.float32)).astype(np.float64)
        values.sum(0, out=planes[0, strip])
        np.square(values, out=values)
        values.sum(0, out=planes[1, strip])
    heights, widths = np.diff(rows, append=height), np.diff(columns, append=width)
    return np.stack([block_sums(block_sums(plane, rows, heights, 0), columns, widths, 1) for plane in planes])


def _noise(data: Any) -> float:
    """Estimate the standard deviation of the noise from the quietest blocks, those within one pore or wall."""
    places = np.unique(np.linspace(0, max(0, data.shape[0] - 2), 8).astype(int))
    slabs = (np.asarray(data[int(z) : int(z) + 2]) for z in places)
    deviations = np.concatenate(list(each_beside(_deviations, slabs)))
    count = 4 * min(2, data.shape[0])
    # What the hundredth quietest block shows of pure noise: variances of `count` values follow a χ² distribution.
    return float(np.percentile(deviations, 1) / np.sqrt(2 * gammaincinv((count - 1) / 2, 0.01) / count))


def _deviations(slab: NDArray[Any]) -> NDArray[np.float32]:
    """Return the standard deviation within every square of two by two pixels of two slices."""
    depth, height, width = slab.shape[0], slab.shape[1] // 2, slab.shape[2] // 2
    values = slab[:, : 2 * height, : 2 * width].astype(np.float32)
    # Pixels of the squares, each as a plane: NumPy's own sums over so few numbers each take several times as long.
    pixels = [(values[z, y::2, ::2].copy(), values[z, y::2, 1::2].copy()) for z in range(depth) for y in range(2)]
    mean = _mean_of(pixels)
    for pair in pixels:
        for one in pair:
            one -= mean
            np.square(one, out=one)
    return np.sqrt(_mean_of(pixels)).ravel()


def _mean_of(pairs: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> NDArray[np.float32]:
    total = pairs[0][0] + pairs[0][1]
    for one, other in pairs[1:]:
        total += one + other
    total /= np.float32(2 * len(pairs))
    return total


def _air(mean: NDArray[np.float32], flat: Mask) -> Mask:
    if not flat.any():
        return flat
    level = float(np.percentile(mean[flat], 1))
    top = float(np.percentile(mean, 99.5))
    return flat & (mean < level + _AIR_SHARE * (top - level))


def _lateral_border(shape: tuple[int, ...]) -> Mask:
    border = np.zeros(shape, bool)
    border[:, [0, -1]] = True
    border[:, :, [0, -1]] = True
    return border


def _reaching(region: Mask, start: Mask, share: float) -> Mask:
    """Return the parts of `region` connected to `start`, if they cover at least `share` of it."""
    seeds = region & start
    if not seeds.any() or seeds.sum() < share * start.sum():
        return np.zeros_like(region)
    return ndimage.binary_propagation(seeds, mask=region)


def _outside(air: Mask) -> Mask:
    """Return the air around a specimen that stands free, without the hollows of a specimen that the view cuts."""
    reaching = _reaching(_without_narrow(air), _lateral_border(air.shape), _BORDER_SHARE)
    labels, count = ndimage.label(reaching)
    if count == 0:
        return reaching
    solid = _largest(~air)
    hull = np.stack([convex_hull_image(plane) if plane.any() else plane for plane in solid])
    inside = np.asarray(ndimage.mean(hull, labels, np.arange(count + 1)))
    free = inside < 0.5
    free[0] = False
    return free[labels]


def _within(plastic: Mask, air: Mask) -> Mask:
    """Return what a plastic wall holds, without the air next to the wall."""
    inside = _holes_filled(plastic) & ~plastic
    gap = _reaching(_without_narrow(air & inside), ndimage.binary_dilation(plastic, iterations=2), 0.0)
    # What is thinner than a disc between specimen and wall is noise in the gap.
    return _largest(ndimage.binary_opening(inside & ~gap, _disc()))


def _largest(region: Mask) -> Mask:
    labels, count = ndimage.label(region)
    if count == 0:
        return region
    sizes = np.bincount(labels.ravel())[1:]
    return labels == 1 + int(np.argmax(sizes))


def _without_narrow(air: Mask) -> Mask:
    """Return the air that a disc of `_NARROW` blocks fits into, slice by slice; the view's edge closes nothing."""
    padded = np.pad(air, ((0, 0), (_NARROW, _NARROW), (_NARROW, _NARROW)), mode="edge")
    return ndimage.binary_opening(padded, _disc())[:, _NARROW:-_NARROW, _NARROW:-_NARROW]


def _disc() -> Mask:
    y, x = np.ogrid[-_NARROW : _NARROW + 1, -_NARROW : _NARROW + 1]
    return (y**2 + x**2 <= _NARROW**2)[None]


def _is_cylinder(solid: Mask) -> bool:
    """Whether every slice of a filled region is the same circle."""
    areas, shares = [], []
    for plane in solid:
        rows, columns = np.flatnonzero(plane.any(1)), np.flatnonzero(plane.any(0))
        if rows.size == 0:
            return False
        height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        areas.append(np.count_nonzero(plane))
        shares.append(max(abs(areas[-1] / (np.pi / 4 * height * width) - 1), abs(height / width - 1)))
    return float(np.median(shares)) < _ROUND and float(np.std(areas) / np.mean(areas)) < _ROUND


def _cylinder(blocks: _Blocks) -> Mask:
    """Return what stands in the air, filled slice by slice, if that is a cylinder; nothing otherwise."""
    air = _reaching(blocks.air, _lateral_border(blocks.air.shape), _BORDER_SHARE)
    solid = _holes_filled(_largest(~air))
    return solid if _is_cylinder(solid) else np.zeros_like(solid)


def _plastic_shells(solid: Mask, blocks: _Blocks) -> Mask:
    """Return the outermost shells of a cylinder that are flat and of one intensity, as a moulded wall is."""
    plastic = np.zeros_like(solid)
    depth = np.stack([ndimage.distance_transform_cdt(np.pad(plane, 1), "chessboard")[1:-1, 1:-1] for plane in solid])
    # The outermost shell is half air; the wall's own intensity shows in the second.
    wall = blocks.mean[(depth == 2) & blocks.flat]
    if wall.size == 0 or wall.size < 0.6 * np.count_nonzero(depth == 2):
        return plastic
    level, tolerance = float(np.median(wall)), 0.1 * float(np.ptp(blocks.mean))
    for shell in range(2, int(depth.max()) // 2):
        here = depth == shell
        like = here & blocks.flat & (np.abs(blocks.mean - level) < tolerance)
        if like.sum() < 0.6 * here.sum():
            # The shell where the wall ends is half wall.
            return plastic | (depth == 1) | here if plastic.any() else plastic
        plastic |= here
    # A wall without an end is a solid rod.
    return np.zeros_like(solid)


def _holes_filled(region: Mask) -> Mask:
    return np.stack([ndimage.binary_fill_holes(plane) for plane in region])


def _filled(body: Mask) -> Mask:
    padded = np.pad(body, ((0, 0), (2 * _NARROW, 2 * _NARROW), (2 * _NARROW, 2 * _NARROW)), mode="edge")
    closed = ndimage.binary_closing(padded, _disc())[:, 2 * _NARROW : -2 * _NARROW, 2 * _NARROW : -2 * _NARROW]
    return _holes_filled(closed)
