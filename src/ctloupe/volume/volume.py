"""The one type that carries voxels: it cannot exist without its geometry."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import GeometryError, IntensityError
from ctloupe.volume import geometry
from ctloupe.volume.slabs import extremes_of

Modality = Literal["clinical", "micro", "unknown"]
Units = Literal["HU", "raw"]


@runtime_checkable
class ArrayLike(Protocol):
    """What `Volume.data` must offer: a NumPy array, or anything sliced like one that reads on demand."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voxels."""

    def __getitem__(self, key: Any) -> Any: ...


class LazyArray:
    """A ``(z, y, x)`` array that is read from its file when sliced.

    Parameters
    ----------
    shape, dtype
        Shape and type of the array.
    read
        Function that is called with a tuple of three slices of step 1 and returns that block as a NumPy array.
    source
        File name for messages.
    layers
        Slices that are decoded together whenever one of them is read, as those of a chunk; None: decoding is no work.

    Raises
    ------
    IntensityError
        When sliced, if the block holds a value that is not finite.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any] | type,
        read: Callable[[tuple[slice, slice, slice]], NDArray[Any]],
        source: str,
        layers: int | None = None,
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.source = source
        self.layers = layers
        self._read = read

    @property
    def ndim(self) -> int:
        """Number of axes, which is always 3."""
        return 3

    @property
    def size(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            keys = keys[:at] + (slice(None),) * (4 - len(keys)) + keys[at + 1 :]
        keys = keys + (slice(None),) * (3 - len(keys))
        block: list[slice] = []
        after: list[Any] = []
        for one, length in zip(keys, self.shape, strict=True):
            if isinstance(one, slice):
                start, stop, step = one.indices(length)
                if step < 1:
                    raise IndexError("a lazily read array takes slices of positive step")
                block.append(slice(start, max(start, stop)))
                after.append(slice(None, None, step))
            else:
                index = range(length)[one]
                block.append(slice(index, index + 1))
                after.append(0)
        values = self._read((block[0], block[1], block[2]))
        require_finite(values, self.source)
        return np.asarray(values, dtype=self.dtype)[tuple(after)]

    def cropped(self, block: tuple[slice, slice, slice]) -> LazyArray:
        """Return the part in the ranges `block` (step 1, inside the array), read on demand too."""
        shape = tuple(one.stop - one.start for one in block)

        def read(inner: tuple[slice, slice, slice]) -> NDArray[Any]:
            moved = tuple(slice(o.start + i.start, o.start + i.stop) for o, i in zip(block, inner, strict=True))
            return self._read((moved[0], moved[1], moved[2]))

        return LazyArray((shape[0], shape[1], shape[2]), self.dtype, read, self.source)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        values = self[:, :, :]
        return values if dtype is None else values.astype(dtype)


def require_finite(values: NDArray[Any], source: str) -> None:
    """Raise `IntensityError` naming `source` when floating `values` hold NaN or infinity."""
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        bad = int(values.size - np.count_nonzero(np.isfinite(values)))
        raise IntensityError(
            f"{source}: {bad} voxels are NaN or infinite; replace them, for instance by the value of air, first"
        )


@dataclass(frozen=True)
class Volume:
    """Voxels with their place in space and what is known of their values.

    Attributes
    ----------
    data : array of shape (z, y, x)
        NumPy array or `LazyArray`; index it slab by slab and it is read slab by slab.
    spacing : (z, y, x) in mm
        Distances of neighbouring voxel centres.
    origin : LPS (x, y, z) in mm
        Centre of voxel ``[0, 0, 0]``.
    direction : 3×3
        Columns are the LPS unit vectors of the x, y and z index axes (ITK's convention).
    modality : "clinical", "micro" or "unknown"
        Kind of scanner.
    units : "HU" or "raw"
        Unit of the values.
    history : tuple of str
        What was done to the volume, oldest first; it never holds a patient field.
    notes : tuple of str
        What its file left open or states oddly, and how that was taken; shown to whoever uses the volume.

    Raises
    ------
    GeometryError
        If the array is not three-dimensional or the geometry is not usable.
    """

    data: Any
    spacing: geometry.Triple
    origin: geometry.Triple = (0.0, 0.0, 0.0)
    direction: geometry.Direction = geometry.IDENTITY
    modality: Modality = "unknown"
    units: Units = "raw"
    history: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        shape = tuple(self.data.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError(f"a volume has three non-empty axes (z, y, x); found shape {shape}")
        spacing = tuple(float(value) for value in self.spacing)
        if len(spacing) != 3 or not all(np.isfinite(value) and value > 0 for value in spacing):
            raise GeometryError(f"voxel spacing must be three positive numbers in mm; found {self.spacing}")
        origin = tuple(float(value) for value in self.origin)
        if len(origin) != 3 or not all(np.isfinite(value) for value in origin):
            raise GeometryError(f"origin must be three finite numbers in mm; found {self.origin}")
        object.__setattr__(self, "spacing", spacing)
        object.__setattr__(self, "origin", origin)
        object.__setattr__(self, "direction", geometry.as_direction(self.direction))
        object.__setattr__(self, "history", tuple(self.history))
        object.__setattr__(self, "notes", tuple(self.notes))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along z, y and x."""
        z, y, x = self.data.shape
        return int(z), int(y), int(x)

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """Smallest and largest finite value of all voxels, which are gone through when this is first asked for.

        Raises
        ------
        IntensityError
            If a voxel that is read on demand is NaN or infinite.
        """
        return extremes_of(self.data)

    @property
    def affine(self) -> NDArray[np.float64]:
        """4×4 matrix from ``(x, y, z, 1)`` indices to LPS millimetres."""
        return geometry.affine_lps(self.spacing, self.origin, self.direction)

    def physical(self, index: tuple[float, float, float]) -> NDArray[np.float64]:
        """Return the LPS point in mm of the (fractional) voxel index ``(z, y, x)``."""
        return (self.affine @ np.array([*index[::-1], 1.0]))[:3]

    def array(self) -> NDArray[Any]:
        """Return all voxels in memory.

        Raises
        ------
        IntensityError
            If a value is NaN or infinite.
        """
        return np.asarray(self.data)

    def with_data(self, data: Any, *done: str, **changes: Any) -> Volume:
        """Return the same place with other voxels; `done` is appended to the history."""
        return replace(self, data=data, history=(*self.history, *done), **changes)

    def crop(self, z: slice = slice(None), y: slice = slice(None), x: slice = slice(None)) -> Volume:
        """Return the sub-volume of the given index ranges (step 1), at its true place in space."""
        ranges = [one.indices(length) for one, length in zip((z, y, x), self.shape, strict=True)]
        if any(step != 1 or stop <= start for start, stop, step in ranges):
            raise GeometryError(f"cannot crop {self.shape} to z={z}, y={y}, x={x}: an empty or strided range")
        start = [begin for begin, _, _ in ranges]
        begun = [slice(begin, end) for begin, end, _ in ranges]
        block = (begun[0], begun[1], begun[2])
        origin = geometry.cropped_origin(self.spacing, self.origin, self.direction, start)
        data = self.data.cropped(block) if isinstance(self.data, LazyArray) else self.data[block]
        return replace(self, data=data, origin=origin)
