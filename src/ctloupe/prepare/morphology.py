"""Binary morphology with radii in millimetres, and the block means that make it affordable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ctloupe.foundation.beside import each_beside
from ctloupe.volume.geometry import Triple

Mask = NDArray[np.bool_]
Edges = NDArray[np.intp]
Value = TypeVar("Value", np.float32, np.float64)


def block_edges(length: int, stride: int, *, from_end: bool = False) -> Edges:
    """Return the first indices of consecutive blocks of `stride`; the odd one is last, or first if `from_end`."""
    if not from_end:
        return np.arange(0, length, stride, dtype=np.intp)
    ends = np.arange(length, 0, -stride, dtype=np.intp)[::-1]
    return np.concatenate([np.zeros(1, dtype=np.intp), ends[:-1]])


def uneven_block_means(data: Any, edges: tuple[Edges, Edges, Edges]) -> NDArray[np.float32]:
    """Average each block of `data` (z, y, x), which is read one row of blocks at a time.

    Parameters
    ----------
    data : array or lazily read array of shape (z, y, x)
    edges
        First indices of the blocks along z, y and x, as `block_edges` gives them.

    Returns
    -------
    float32 array with one value per block
    """
    shape = tuple(int(length) for length in data.shape)
    counts = [np.diff(one, append=length) for one, length in zip(edges, shape, strict=True)]
    means = np.empty(tuple(len(one) for one in edges), dtype=np.float32)
    plane = np.multiply.outer(counts[1], counts[2]).astype(np.float32)
    for block, (start, depth) in enumerate(zip(edges[0], counts[0], strict=True)):
        total = np.asarray(data[int(start) : int(start + depth)]).sum(axis=0, dtype=np.float32)
        total = block_sums(block_sums(total, edges[1], counts[1], 0), edges[2], counts[2], 1)
        means[block] = total / (plane * np.float32(depth))
    return means


def block_sums(plane: NDArray[Value], edges: Edges, counts: Edges, axis: int) -> NDArray[Value]:
    """Return the sums over blocks along an axis: for short blocks many times faster than `np.add.reduceat`.

    Parameters
    ----------
    plane : (y, x)
        What is summed, in its own type.
    edges, counts
        First indices of the blocks, and their lengths.
    axis
        Axis along which they lie.
    """
    total = plane.take(edges, axis)
    for number in range(1, int(counts.max())):
        blocks = np.flatnonzero(counts > number)
        added = plane.take(edges[blocks] + number, axis)
        # Only at an end is a block shorter, and a run is added to in place.
        run = blocks if blocks[-1] - blocks[0] >= len(blocks) else slice(int(blocks[0]), int(blocks[-1]) + 1)
        if axis == 0:
            total[run] += added
        else:
            total[:, run] += added
    return total


def expanded(
    blocks: NDArray[Any], edges: Sequence[Edges], shape: Sequence[int], out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Repeat the value of each block over its voxels: the inverse of `uneven_block_means` on constant blocks.

    Parameters
    ----------
    blocks, edges
        Values, and the first indices of the blocks along each axis.
    shape
        Shape of the result.
    out
        Array of that shape and the type of `blocks` to write into; None: a new one.
    """
    counts = [np.diff(one, append=length) for one, length in zip(edges, shape, strict=True)]
    if blocks.ndim == 2 and out is None:
        return _repeated(blocks, counts)
    found = np.empty(tuple(shape), blocks.dtype) if out is None else out

    def fill(number: int) -> None:
        found[edges[0][number] :][: counts[0][number]] = _repeated(blocks[number], counts[1:])

    # Most of the time goes into the first touch of the memory, which threads share well.
    for _ in each_beside(fill, range(len(blocks))):
        pass
    return found


def _repeated(plane: NDArray[Any], counts: Sequence[Edges]) -> NDArray[Any]:
    return np.repeat(np.repeat(plane, counts[1], axis=1), counts[0], axis=0)


def distance_inside(mask: Mask, spacing: Triple) -> NDArray[np.float32]:
    """Measure the distance in mm of each voxel of `mask` to the nearest voxel outside it; it is 0 outside.

    The edge of the array is no boundary. Where the whole array is mask, the distance is infinite.
    """
    if mask.all():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    image = sitk.GetImageFromArray((~mask).astype(np.uint8))
    image.SetSpacing(spacing[::-1])
    distance = sitk.GetArrayFromImage(_maurer(image))
    np.maximum(distance, 0, out=distance)
    return distance


def _maurer(image: sitk.Image) -> sitk.Image:
    # The filter measures to the boundary voxels of the object, which is what centre-to-centre distance asks.
    return sitk.SignedMaurerDistanceMap(image, False, False, True)


def around(mask: Mask, margin_mm: float, spacing: Sequence[float]) -> tuple[slice, ...]:
    """Return the box of the voxels within `margin_mm` of those of `mask`, of which there is one, and a voxel more.

    The nearest voxel outside of `mask` lies in it too, so that distances up to the margin are those of the whole array.
    """
    sides = []
    for axis, step in enumerate(spacing):
        found = np.flatnonzero(mask.any(tuple(one for one in range(mask.ndim) if one != axis)))
        margin = int(np.ceil(margin_mm / step)) + 1
        sides.append(slice(max(0, int(found[0]) - margin), min(mask.shape[axis], int(found[-1]) + margin + 1)))
    return tuple(sides)


def dilated(mask: Mask, radius_mm: float, spacing: Triple) -> Mask:
    """Return the voxels within `radius_mm` of a voxel of `mask`; `spacing` is (z, y, x) in mm."""
    result = np.zeros_like(mask)
    if mask.any():
        box = around(mask, radius_mm, spacing)
        result[box] = distance_inside(~mask[box], spacing) <= radius_mm
    return result


def eroded(mask: Mask, radius_mm: float, spacing: Triple) -> Mask:
    """Return the voxels of `mask` further than `radius_mm` from any outside; the array's edge is no boundary."""
    result = np.zeros_like(mask)
    if mask.any():
        box = around(mask, 0.0, spacing)
        result[box] = distance_inside(mask[box], spacing) > radius_mm
    return result


def closed(mask: Mask, radius_mm: float, spacing: Triple) -> Mask:
    """Close the gaps of `mask` that a ball of `radius_mm` does not fit into; the array's edge closes nothing off."""
    return eroded(dilated(mask, radius_mm, spacing), radius_mm, spacing) | mask


def opened(mask: Mask, radius_mm: float, spacing: Triple) -> Mask:
    """Return the part of `mask` that balls of `radius_mm` inside it cover."""
    return dilated(eroded(mask, radius_mm, spacing), radius_mm, spacing) & mask
