"""Both lungs of a clinical CT: region growing to a coarse mask, then morphology in millimetres.

The search runs on block means of about 1.6 mm in a fixed anatomical order (inferior to superior, anterior to
posterior, right to left), so that noise, voxel size and orientation matter little; the rim is then redrawn
voxel by voxel.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctloupe.foundation.beside import each_beside
from ctloupe.foundation.errors import IntensityError
from ctloupe.prepare.airways import central_airways
from ctloupe.prepare.morphology import (
    around,
    block_edges,
    closed,
    dilated,
    distance_inside,
    eroded,
    expanded,
    uneven_block_means,
)
from ctloupe.volume.geometry import Direction, Triple
from ctloupe.volume.volume import Volume

Mask = NDArray[np.bool_]

_COARSE_MM = 1.6
# Air without tissue: outside the body, in the trachea, in the bowel. Parenchyma, even emphysematous, has a
# higher median.
_PURE_AIR_HU = -950.0
_CLOSING_MM = 9.0
HULL_MM: Final = 12.0
"""Radius in mm of the ball that closes a lung's hull: wider than a hilar vessel, narrower than the aorta."""
_SMALLEST_SHARE = 0.05
_IN_PLANE = np.array([[[0, 0, 0]] * 3, [[0, 1, 0], [1, 1, 1], [0, 1, 0]], [[0, 0, 0]] * 3], dtype=bool)


def lung_mask(volume: Volume, *, threshold_hu: float = -400.0, option: str = "mask") -> Mask:
    """Voxels of both lungs, vessels and nodules inside or on the pleura included, trachea and main bronchi not.

    Works on any orientation, on slices of any thickness, and on a field of view that lies partly or wholly
    inside the lung.

    Parameters
    ----------
    volume : Volume
        Clinical CT in HU; a lazily read one is read twice, slab by slab.
    threshold_hu : float
        Voxels below are air or parenchyma.
    option : str
        Python name of the option that asked for lungs, for the message.

    Returns
    -------
    bool array of shape (z, y, x)

    Raises
    ------
    IntensityError
        If no lung is found.
    """
    frame = _Frame.of(volume)
    coarse = frame.to_anatomical(uneven_block_means(volume.data, frame.edges))
    spacing = frame.coarse_spacing
    air = coarse < threshold_hu
    candidates, outside = _inside_body(air, coarse, spacing)
    # Nothing beside it is found or filled. Along the body all is kept, since where the view ends tells the trachea.
    box = np.s_[:, *around(candidates, _CLOSING_MM, spacing)[1:]] if candidates.any() else np.s_[:, :, :]
    airways = np.zeros_like(air)
    airways[box] = central_airways(candidates[box], coarse[box], spacing)
    candidates &= ~airways
    lungs = _separate_lungs(_lung_components(candidates[box], coarse[box], 0.002 * candidates.size), spacing)
    if not lungs:
        raise IntensityError(
            f"no lung found: no large region between {_PURE_AIR_HU:g} and {threshold_hu:g} HU inside the body; "
            f"give `{option}` FILE with a mask of your own, or `{option}` none to use every voxel"
        )
    barred = airways | outside
    filled = np.zeros_like(air)
    for lung in each_beside(lambda lung: _filled(lung, spacing), lungs):
        filled[box] |= lung
    filled &= ~barred
    return _redrawn(volume, frame, filled, air, barred, threshold_hu)


def lung_hull(mask: Mask, spacing: Triple) -> Mask:
    """Close each lung over what enters it at the hilum: vessels and bronchi, with the vessels and nodules inside.

    Each lung is closed for itself with a ball of `HULL_MM`, on blocks of about 1.6 mm, so that gaps and notches of up
    to twice as much are filled. What is wider stays out: the heart, the great vessels, the chest wall. The two lungs
    are never joined across the mediastinum. A slice's holes are not filled as such, since the dome of the diaphragm
    is one.

    Parameters
    ----------
    mask : bool (z, y, x)
        Both lungs, as `lung_mask` finds them.
    spacing
        Distance of the voxels along z, y and x in mm.

    Returns
    -------
    bool (z, y, x)
        Contains `mask`.
    """
    strides = [max(1, round(_COARSE_MM / step)) for step in spacing]
    z, y, x = (block_edges(length, stride) for length, stride in zip(mask.shape, strides, strict=True))
    steps: Triple = (spacing[0] * strides[0], spacing[1] * strides[1], spacing[2] * strides[2])
    coarse = uneven_block_means(mask, (z, y, x)) >= 0.5
    if not coarse.any():
        return mask.copy()
    box = around(coarse, HULL_MM, steps)
    # Room around, since at the edge of the array nothing must count as lung that only touches it when dilated.
    room = [int(np.ceil(HULL_MM / step)) + 1 for step in steps]
    labels, _ = ndimage.label(np.pad(coarse[box], [(pad, pad) for pad in room]))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    parts = [labels == one for one in np.flatnonzero(sizes > _SMALLEST_SHARE * sizes.max())]
    filled, inner = np.zeros_like(coarse), tuple(slice(pad, -pad) for pad in room)
    for lung in each_beside(lambda lung: _filled(lung, steps, HULL_MM), _separate_lungs(parts, steps)):
        filled[box] |= lung[inner]
    hull = mask.copy()

    def draw(block: int) -> None:
        drawn = expanded(filled[block], (y, x), mask.shape[1:]).astype(np.float32)
        # A majority of the voxels around takes the corners off the blocks.
        smooth = ndimage.uniform_filter(drawn, [2 * stride + 1 for stride in strides[1:]], mode="nearest") > 0.5
        hull[z[block] :][: strides[0]] |= smooth

    for _ in each_beside(draw, range(len(z))):
        pass
    return hull


@dataclass(frozen=True)
class _Frame:
    """How the index axes lie in the body, and which blocks of voxels are averaged.

    `axes` are the index axes that run inferior-superior, anterior-posterior, right-left; `flips` says which of
    them run the other way.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    edges: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
    coarse_spacing: Triple

    @classmethod
    def of(cls, volume: Volume) -> _Frame:
        axes, flips = _anatomical_axes(volume.direction)
        flipped = {axis for axis, flip in zip(axes, flips, strict=True) if flip}
        strides = [max(1, round(_COARSE_MM / step)) for step in volume.spacing]
        # Blocks start at the anatomical end, so that a flipped volume gives exactly the flipped mask.
        z, y, x = (
            block_edges(length, stride, from_end=axis in flipped)
            for axis, (length, stride) in enumerate(zip(volume.shape, strides, strict=True))
        )
        first, second, third = (volume.spacing[axis] * strides[axis] for axis in axes)
        return cls(axes, flips, (z, y, x), (first, second, third))

    def to_anatomical(self, array: NDArray[Any]) -> NDArray[Any]:
        """`array` (z, y, x) in anatomical order, as contiguous memory."""
        order = tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)
        return np.ascontiguousarray(array.transpose(self.axes)[order])

    def to_index(self, array: NDArray[Any]) -> NDArray[Any]:
        """A view of `array` (anatomical order) with axes (z, y, x)."""
        order = tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)
        return array[order].transpose(np.argsort(self.axes))


def _anatomical_axes(direction: Direction) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    # Columns of the matrix are the x, y, z index axes; rows are L, P, S.
    matrix = np.asarray(direction)[:, ::-1]
    best: tuple[float, tuple[int, int, int]] = (-1.0, (0, 1, 2))
    for axes in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        score = abs(matrix[2, axes[0]]) + abs(matrix[1, axes[1]]) + abs(matrix[0, axes[2]])
        best = max(best, (float(score), axes), key=lambda one: one[0])
    axes = best[1]
    flips = (matrix[2, axes[0]] < 0, matrix[1, axes[1]] < 0, matrix[0, axes[2]] < 0)
    return axes, (bool(flips[0]), bool(flips[1]), bool(flips[2]))


def _inside_body(air: Mask, coarse: NDArray[np.float32], spacing: Triple) -> tuple[Mask, Mask]:
    """Air that may be lung, and the air around the body with everything that stands apart in it."""
    # Slice by slice, because over several slices the trachea may join the lungs to the air outside.
    labels, count = ndimage.label(air, structure=_IN_PLANE)
    sides = np.zeros(count + 1, dtype=bool)
    for face in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        sides[face] = True
    # A lung that the field of view cuts touches its side too, but it is not pure air.
    sides &= _pure_share(labels, count, coarse) > 0.5
    sides[0] = False
    outside = sides[labels]
    if outside.any():
        outside |= ~_body(outside, spacing)
    return air & ~outside, outside


def _body(outside: Mask, spacing: Triple) -> Mask:
    """The largest thing that stands in the air `outside`: the body, without the table where they can be parted."""
    labels, count = ndimage.label(eroded(~outside, 4.0, spacing))
    if count == 0:
        return ~outside
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return dilated(labels == sizes.argmax(), 5.5, spacing) & ~outside


def _pure_share(labels: NDArray[np.int32], count: int, coarse: NDArray[np.float32]) -> NDArray[np.float64]:
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    pure = np.bincount(labels[coarse < _PURE_AIR_HU], minlength=count + 1)
    return pure / np.maximum(sizes, 1)


def _lung_components(candidates: Mask, coarse: NDArray[np.float32], least: float) -> list[Mask]:
    labels, count = ndimage.label(candidates)
    if count == 0:
        return []
    sizes = np.bincount(labels.ravel(), minlength=count + 1).astype(np.float64)
    sizes[_pure_share(labels, count, coarse) > 0.5] = 0
    sizes[0] = 0
    # A lone speck of dark voxels (fat, noise) is no lung.
    if sizes.max() < least:
        return []
    return [labels == one for one in np.flatnonzero(sizes >= _SMALLEST_SHARE * sizes.max())]


def _separate_lungs(components: list[Mask], spacing: Triple) -> list[Mask]:
    """Part two lungs that touch in front of or behind the heart, so that the gap between is not closed later."""
    if len(components) != 1:
        return components
    box = around(components[0], 0.0, spacing)
    lung = components[0][box]
    inner = distance_inside(lung, spacing)
    for radius in (2.0, 3.5, 5.0, 7.0):
        labels, count = ndimage.label(inner > radius)
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        sizes[0] = 0
        order = np.argsort(sizes)
        if count >= 2 and sizes[order[-2]] > 0.25 * sizes[order[-1]]:
            others = [labels != one for one in order[[-1, -2]]]
            first, second = each_beside(lambda other: distance_inside(other, spacing), others)
            parts = np.zeros_like(components[0]), np.zeros_like(components[0])
            parts[0][box], parts[1][box] = lung & (first <= second), lung & (first > second)
            return [*parts]
    return components


def _filled(lung: Mask, spacing: Triple, radius_mm: float = _CLOSING_MM) -> Mask:
    box = around(lung, radius_mm, spacing)
    result = np.zeros_like(lung)
    result[box] = ndimage.binary_fill_holes(closed(lung[box], radius_mm, spacing))
    return result


def _redrawn(volume: Volume, frame: _Frame, filled: Mask, air: Mask, barred: Mask, threshold_hu: float) -> Mask:
    """The mask on the grid of `volume`: where the coarse rim is a step from air to tissue, voxels decide."""
    if all(len(edges) == length for edges, length in zip(frame.edges, volume.shape, strict=True)):
        return np.ascontiguousarray(frame.to_index(filled))
    cube = np.ones((3, 3, 3), dtype=bool)
    sure, perhaps = filled & ~air, np.zeros_like(filled)
    if filled.any():
        box = around(filled, 0.0, frame.coarse_spacing)
        sure[box] |= ndimage.binary_erosion(filled[box], cube, border_value=1)
        perhaps[box] = ndimage.binary_dilation((filled & air)[box], cube) & ~barred[box]
    sure, perhaps = frame.to_index(sure), frame.to_index(perhaps)
    mask = np.empty(volume.shape, dtype=bool)

    def draw(slab: tuple[int, int, Mask]) -> None:
        block, start, dark = slab
        drawn = expanded(sure[block], frame.edges[1:], volume.shape[1:])
        rim = expanded(perhaps[block], frame.edges[1:], volume.shape[1:])
        for index, plane in enumerate(dark, start):
            votes = (drawn | (rim & plane)).astype(np.uint8)
            # A majority of nine voxels takes noise off the rim.
            mask[index] = ndimage.uniform_filter(votes * np.uint8(9), 3, mode="nearest") >= 5

    ends = pairwise([*frame.edges[0].tolist(), volume.shape[0]])
    slabs = ((block, a, np.asarray(volume.data[a:b]) < threshold_hu) for block, (a, b) in enumerate(ends))
    for _ in each_beside(draw, slabs):
        pass
    return mask
