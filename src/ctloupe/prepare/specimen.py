"""Which voxels of a µCT are the specimen: not the air around it, not the plastic cylinder that holds it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import chi2
from skimage.filters import threshold_otsu

from ctloupe.prepare.morphology import block_edges, expanded
from ctloupe.volume.errors import IntensityError
from ctloupe.volume.volume import Volume

Mask = NDArray[np.bool_]

_BLOCKS_ACROSS: Final = 128
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

    Worked out on blocks of voxels: air is flat and dark; what of it reaches the lateral border is outside. A wall
    of plastic around the rest shows as shells, seen from outside, that are flat and of one intensity; they are
    peeled off, with the air between them and the specimen. A volume cut out of a specimen has neither, and the
    whole of it is the mask. A wall thinner than about a fortieth of the view, or one that the view cuts, is not
    recognised: look at the overlay.

    Parameters
    ----------
    volume
        µCT, any units in which air is darkest.

    Returns
    -------
    bool array of the shape of `volume`

    Raises
    ------
    IntensityError
        If nothing but air is found.
    """
    stride = max(2, -(-max(volume.shape[1:]) // _BLOCKS_ACROSS))
    edges = (
        block_edges(volume.shape[0], stride),
        block_edges(volume.shape[1], stride),
        block_edges(volume.shape[2], stride),
    )
    mean, spread = _block_statistics(volume.data, edges)
    noise = _noise(volume.data)
    if float(np.ptp(mean)) <= _CONTRAST * noise / stride**1.5:
        raise IntensityError("no specimen found in the µCT: it is of one intensity; give --micro-mask none or a file")
    flat = spread <= _FLAT * max(noise, 1e-3 * float(np.ptp(mean)))
    air = _air(mean, flat)
    border = _lateral_border(air.shape)
    plastic = _plastic_shells(_largest(~_reaching(air, border, _BORDER_SHARE)), mean, flat)
    if plastic.any():
        inside = np.stack([ndimage.binary_fill_holes(plane) for plane in plastic]) & ~plastic
        gap = _reaching(_without_narrow(air & inside), ndimage.binary_dilation(plastic, iterations=2), 0.0)
        # What is thinner than a disc between specimen and wall is noise in the gap.
        body = _largest(ndimage.binary_opening(inside & ~gap, _disc()))
    else:
        body = _largest(~_reaching(_without_narrow(air), border, _BORDER_SHARE))
    if not body.any():
        raise IntensityError(
            "no specimen found in the µCT: it looks like air throughout; give --micro-mask none or a file"
        )
    return expanded(_filled(body), edges, volume.shape).astype(bool)


def threshold_box(volume: Volume, threshold: float | None = None) -> tuple[slice, slice, slice]:
    """Bounding box of what is brighter than `threshold` (ISBI 2021: background cropped by threshold and box).

    Parameters
    ----------
    volume
        Any modality.
    threshold
        In the units of the volume; None: Otsu's.

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


def _block_statistics(data: Any, edges: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each block; one layer of blocks is read at a time."""
    means, spreads = [], []
    _, rows, columns = edges
    area = np.multiply.outer(np.diff(rows, append=data.shape[1]), np.diff(columns, append=data.shape[2]))
    for start, depth in zip(edges[0], np.diff(edges[0], append=data.shape[0]), strict=True):
        slab = np.asarray(data[int(start) : int(start + depth)], dtype=np.float32)
        sums = [
            np.add.reduceat(np.add.reduceat(plane, rows, 0), columns, 1)
            for plane in (slab.sum(0, dtype=np.float64), np.square(slab, dtype=np.float64).sum(0))
        ]
        mean = sums[0] / (area * depth)
        means.append(mean)
        spreads.append(np.sqrt(np.maximum(sums[1] / (area * depth) - mean**2, 0)))
    return np.stack(means).astype(np.float32), np.stack(spreads).astype(np.float32)


def _noise(data: Any) -> float:
    """Standard deviation of the noise, from the quietest of the smallest blocks: those within one pore or wall."""
    deviations = []
    for z in np.unique(np.linspace(0, max(0, data.shape[0] - 2), 8).astype(int)):
        slab = np.asarray(data[int(z) : int(z) + 2], dtype=np.float32)
        depth, height, width = slab.shape[0], slab.shape[1] // 2, slab.shape[2] // 2
        blocks = slab[:, : 2 * height, : 2 * width].reshape(depth, height, 2, width, 2)
        deviations.append(blocks.std((0, 2, 4)).ravel())
    count = 4 * depth
    # What the hundredth quietest block shows of pure noise: variances of `count` values follow a χ² distribution.
    return float(np.percentile(np.concatenate(deviations), 1) / np.sqrt(chi2.ppf(0.01, count - 1) / count))


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
    """Parts of `region` connected to `start`, if they cover at least `share` of it."""
    seeds = region & start
    if not seeds.any() or seeds.sum() < share * start.sum():
        return np.zeros_like(region)
    return ndimage.binary_propagation(seeds, mask=region)


def _largest(region: Mask) -> Mask:
    labels, count = ndimage.label(region)
    if count == 0:
        return region
    sizes = np.bincount(labels.ravel())[1:]
    return labels == 1 + int(np.argmax(sizes))


def _without_narrow(air: Mask) -> Mask:
    """Air that a disc of `_NARROW` blocks fits into, slice by slice; the edge of the view closes nothing."""
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


def _plastic_shells(body: Mask, mean: NDArray[np.float32], flat: Mask) -> Mask:
    """Outermost shells of a cylinder that are flat and of one intensity, as a moulded wall is."""
    solid = np.stack([ndimage.binary_fill_holes(plane) for plane in body])
    if not _is_cylinder(solid):
        return np.zeros_like(body)
    depth = np.stack([ndimage.distance_transform_cdt(np.pad(plane, 1), "chessboard")[1:-1, 1:-1] for plane in solid])
    plastic = np.zeros_like(body)
    # The outermost shell is half air; the wall's own intensity shows in the second.
    wall = mean[(depth == 2) & flat]
    if wall.size < 0.6 * np.count_nonzero(depth == 2):
        return plastic
    level, tolerance = float(np.median(wall)), 0.1 * float(np.ptp(mean))
    for shell in range(2, int(depth.max()) // 2):
        here = depth == shell
        like = here & flat & (np.abs(mean - level) < tolerance)
        if like.sum() < 0.6 * here.sum():
            # The shell where the wall ends is half wall.
            return plastic | (depth == 1) | here if plastic.any() else plastic
        plastic |= here
    return plastic


def _filled(body: Mask) -> Mask:
    padded = np.pad(body, ((0, 0), (2 * _NARROW, 2 * _NARROW), (2 * _NARROW, 2 * _NARROW)), mode="edge")
    closed = ndimage.binary_closing(padded, _disc())[:, 2 * _NARROW : -2 * _NARROW, 2 * _NARROW : -2 * _NARROW]
    return np.stack([ndimage.binary_fill_holes(plane) for plane in closed])
