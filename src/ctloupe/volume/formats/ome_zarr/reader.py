"""Reading OME-Zarr (NGFF 0.4 and 0.5).

NGFF has scale and translation but no direction; the exact 4×4 matrix that `ome_zarr_write` puts beside it is used
where it agrees with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from ctloupe.foundation.errors import CtLoupeError, FileError, GeometryError, IntensityError
from ctloupe.foundation.location import Location, Remote, location
from ctloupe.volume import geometry
from ctloupe.volume.formats.ome_zarr.blosc import is_outermost
from ctloupe.volume.formats.ome_zarr.chunks import (
    absent_chunks,
    require_ends,
    require_inside,
    require_sensible,
)
from ctloupe.volume.formats.ome_zarr.codecs import require_plain_codecs
from ctloupe.volume.formats.ome_zarr.local import CheckedStore
from ctloupe.volume.formats.ome_zarr.metadata import Axis, Level, Multiscale, attributes_of, multiscale_of
from ctloupe.volume.formats.ome_zarr.remote import store_at
from ctloupe.volume.volume import LazyArray, Volume

_MM_PER_UNIT = {
    "millimeter": 1.0, "millimetre": 1.0, "mm": 1.0,
    "micrometer": 1e-3, "micrometre": 1e-3, "micron": 1e-3, "um": 1e-3, "µm": 1e-3,
    "nanometer": 1e-6, "nanometre": 1e-6, "nm": 1e-6, "angstrom": 1e-7, "picometer": 1e-9,
    "centimeter": 10.0, "centimetre": 10.0, "cm": 10.0, "decimeter": 100.0,
    "meter": 1000.0, "metre": 1000.0, "inch": 25.4,
}  # fmt: skip
EVERY_CHUNK = "every_chunk"
"""Key of the attribute of stores written here in which no chunk may be absent, not even one of nothing but zeros."""

# What zarr and its codecs raise for damaged metadata or chunks.
DAMAGE = (
    *(OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError),
    *(ArithmeticError, MemoryError, SystemError),
)


def plain_type(path: Location, dtype: Any) -> np.dtype[Any]:
    """Return the voxel type in native byte order; raise `IntensityError` unless it is integer or floating."""
    plain = np.dtype(dtype).newbyteorder("=")
    if plain.kind not in "iuf":
        raise IntensityError(f"{path}: expected integer or floating voxels, found {plain}; convert them first")
    return plain


def read_ome_zarr(path: Location) -> Volume:
    """Return the volume of the finest level of an OME-Zarr store (NGFF 0.4 or 0.5), read when sliced.

    Origin and direction come from our own exact matrix where it agrees with the NGFF scale and translation;
    otherwise the origin is the translation and the direction the identity. A chunk that is not there is an error in a
    store that was written here. In others, where it is legal, it holds the fill value, and a note tells of it. On a
    server nobody looks for absent chunks before they are read.

    Raises
    ------
    FileError
        If metadata, array or (when slicing) a chunk is missing or damaged, the shape is absurd, or the memory cannot
        hold a slice.
    GeometryError
        If an axis has no length unit, no scale, or is not z, y, x and longer than one.
    IntensityError
        If voxels are neither integers nor floats.
    """
    return _read_finest(location(path), whole=True)


def read_unfinished(path: Location) -> Volume:
    """Return the volume of a store that is still being written; slices that are not there yet hold the fill value."""
    return _read_finest(location(path), whole=False)


def read_coarser(path: Location, finest: Volume) -> tuple[Volume, ...]:
    """Return the coarser levels of a store, finer ones first, at their places in space.

    A level that cannot be read, or of which a chunk is missing, is left out: the finest one holds all there is to know.

    Parameters
    ----------
    path
        Store.
    finest
        What `read_ome_zarr` returned of it.
    """
    path = location(path)
    attributes = attributes_of(path)
    image = multiscale_of(path, attributes)
    _, first = _spacing_and_translation(path, image, image.levels[0])
    found = []
    for level in image.levels[1:]:
        try:
            array, read = _open_array(path, image, level.path, _promises_every_chunk(attributes))
            if not isinstance(path, Remote) and absent_chunks(path / level.path, array, path) is not None:
                continue
            layout = _layout(path, image.axes, array.shape)
            spacing, translation = _spacing_and_translation(path, image, level)
        except CtLoupeError:
            continue
        moved = np.asarray(finest.direction) @ np.subtract(translation, first)[::-1]
        origin = tuple(float(value) for value in np.asarray(finest.origin) + moved)
        found.append(finest.with_data(_lazy(path, layout, array, read), spacing=spacing, origin=origin))
    return tuple(found)


def _promises_every_chunk(attributes: dict[str, Any]) -> bool:
    ours = attributes.get("ctloupe")
    return isinstance(ours, dict) and ours.get(EVERY_CHUNK) is True


def _lazy(
    path: Location, layout: _Layout, array: Any, read: Callable[[tuple[slice | int, ...]], NDArray[Any]]
) -> LazyArray:
    dtype = plain_type(path, array.dtype)
    layers = int(array.chunks[layout.zyx[0]])
    return LazyArray(layout.shape, dtype, lambda block: layout.select(read, block), str(path), layers)


def _read_finest(path: Location, whole: bool) -> Volume:
    attributes = attributes_of(path)
    image = multiscale_of(path, attributes)
    array, read = _open_array(path, image, image.finest, whole and _promises_every_chunk(attributes))
    layout = _layout(path, image.axes, array.shape)
    spacing, translation = _spacing_and_translation(path, image, image.levels[0])
    origin, direction, told = _place(attributes.get("ctloupe"), spacing, translation)
    ours = attributes.get("ctloupe")
    ours = ours if isinstance(ours, dict) else {}
    if whole and not isinstance(path, Remote):
        require_ends(path / image.finest, array, _promises_every_chunk(attributes))
    history = ours.get("history")
    return Volume(
        data=_lazy(path, layout, array, read),
        spacing=spacing,
        origin=origin,
        direction=direction,
        modality=ours["modality"] if ours.get("modality") in ("clinical", "micro") else "unknown",
        units="HU" if ours.get("units") == "HU" else "raw",
        history=(*(str(line) for line in (history if isinstance(history, list) else ())), *told),
        notes=told,
    )


def absent_in_words(path: Location) -> tuple[str, ...]:
    """Return what to say of chunks of the finest level that are not there, for which all its files are gone through.

    Nothing is said of a store on a server, whose files are not listed.

    Raises
    ------
    FileError
        If metadata or array are damaged, or a file among the chunks is none that belongs there.
    """
    path = location(path)
    if isinstance(path, Remote):
        return ()
    image = multiscale_of(path, attributes_of(path))
    array, _ = _open_array(path, image, image.finest)
    absent = absent_chunks(path / image.finest, array, path)
    if absent is None:
        return ()
    return (
        f"{absent.count} of {absent.total} chunks are absent, the first {image.finest}/{absent.first}; "
        f"they are taken as {array.fill_value}",
    )


@dataclass(frozen=True)
class _Layout:
    """Which axes of the stored array are z, y and x; the others have length one."""

    stored: tuple[int, ...]
    zyx: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        z, y, x = (self.stored[axis] for axis in self.zyx)
        return z, y, x

    def select(
        self, read: Callable[[tuple[slice | int, ...]], NDArray[Any]], block: tuple[slice, slice, slice]
    ) -> NDArray[Any]:
        key: list[slice | int] = [0] * len(self.stored)
        for axis, wanted in zip(self.zyx, block, strict=True):
            key[axis] = wanted
        order = [sorted(self.zyx).index(axis) for axis in self.zyx]
        return np.transpose(read(tuple(key)), order)


def first_line(error: Exception) -> str:
    """Return what an error says, without its details."""
    return str(error).partition("\n")[0]


def _open_array(
    path: Location, image: Multiscale, name: str, every_chunk: bool = False
) -> tuple[Any, Callable[[tuple[slice | int, ...]], NDArray[Any]]]:
    folder: Location = path / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise FileError(f"{path}: the path of its array, {name[:60]}, leads out of the store; write it again")
    if not isinstance(path, Remote) and not isinstance(folder, Remote):
        require_inside(folder, path)
    require_plain_codecs(folder)
    try:
        array: Any = zarr.open_array(_checking(folder, path, every_chunk), mode="r")
        if is_outermost(array):
            array = zarr.open_array(_checking(folder, path, every_chunk, blosc=True), mode="r")
    except DAMAGE as error:
        raise FileError(f"{folder}: no readable array ({first_line(error)}); copy it again") from error
    require_sensible(folder, array)
    if len(image.axes) != array.ndim:
        raise FileError(f"{folder}: has {array.ndim} axes, its metadata name {len(image.axes)}; write it again")

    def read(key: tuple[slice | int, ...]) -> NDArray[Any]:
        try:
            return np.asarray(array[key])
        except DAMAGE as error:
            raise FileError(
                f"{folder}: a chunk is damaged ({first_line(error)}); copy or write the store again"
            ) from error

    return array, read


def _checking(folder: Location, path: Location, every_chunk: bool, blosc: bool = False) -> Any:
    """Return the store of an array whose chunks are looked at as they are read."""
    if isinstance(folder, Remote) or isinstance(path, Remote):
        return store_at(folder, read_only=True, every_chunk=every_chunk, blosc=blosc)
    return CheckedStore(folder, within=path, every_chunk=every_chunk, blosc=blosc)


def _layout(path: Location, axes: Sequence[Axis], stored: Sequence[int]) -> _Layout:
    names = [axis.name for axis in axes]
    listed = ", ".join(f"{name} {length}" for name, length in zip(names, stored, strict=True))
    missing = [name for name in "zyx" if names.count(name) != 1]
    if missing:
        raise GeometryError(f"{path}: expected one axis each of z, y and x, found {listed}; save it as a volume")
    extra = [name for name, length in zip(names, stored, strict=True) if name not in "zyx" and length > 1]
    if extra:
        raise GeometryError(
            f"{path}: expected axes z, y, x, found {listed}; save one {' and one '.join(extra)} index alone"
        )
    return _Layout(tuple(stored), (names.index("z"), names.index("y"), names.index("x")))


def _spacing_and_translation(
    path: Location, image: Multiscale, level: Level
) -> tuple[geometry.Triple, geometry.Triple]:
    count = len(image.axes)
    scale, translation, scaled = np.ones(count), np.zeros(count), False
    for step in (*level.transformations, *image.transformations):
        kind = step.get("type")
        values = _numbers(step.get(str(kind))) if kind in ("scale", "translation") else None
        if kind == "identity":
            continue
        if values is None or values.shape != (count,) or not np.all(np.isfinite(values)):
            raise GeometryError(
                f"{path}: a coordinate transformation of type {kind!r} is not {count} numbers of "
                "scale or translation; write it again with these"
            )
        if kind == "scale":
            scale, translation, scaled = scale * values, translation * values, True
        else:
            translation = translation + values
    if not scaled:
        raise GeometryError(f"{path}: states no scale, so the voxel size is unknown; write it again with a scale")
    names = [axis.name for axis in image.axes]
    where = [names.index(name) for name in "zyx"]
    mm = [_mm_per_unit(path, image.axes[axis]) for axis in where]
    z, y, x = (float(scale[axis] * unit) for axis, unit in zip(where, mm, strict=True))
    tz, ty, tx = (float(translation[axis] * unit) for axis, unit in zip(where, mm, strict=True))
    return (z, y, x), (tz, ty, tx)


def _numbers(stated: Any) -> NDArray[np.float64] | None:
    try:
        return np.asarray(stated, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None


def _mm_per_unit(path: Location, axis: Axis) -> float:
    if axis.unit in _MM_PER_UNIT:
        return _MM_PER_UNIT[axis.unit]
    found = f"unit {axis.unit!r}" if axis.unit else "no unit"
    raise GeometryError(
        f"{path}: axis {axis.name} has {found}, expected a length such as millimeter or micrometer; put "
        f'"unit": "millimeter" (or the true one) into its axes metadata'
    )


def _place(
    ours: Any, spacing: geometry.Triple, translation: geometry.Triple
) -> tuple[geometry.Triple, geometry.Direction, tuple[str, ...]]:
    plain = (translation[2], translation[1], translation[0])
    if not isinstance(ours, dict) or "affine_lps" not in ours:
        return plain, geometry.IDENTITY, ()
    ignored = "exact matrix in the store ignored: it contradicts the OME scale or translation"
    try:
        own_spacing, origin, direction = geometry.from_affine_lps(np.asarray(ours["affine_lps"], dtype=np.float64))
    except (GeometryError, ValueError, TypeError, IndexError):
        return plain, geometry.IDENTITY, (ignored,)
    near = 1e-4 * min(spacing)
    if np.allclose(own_spacing, spacing, rtol=1e-6, atol=0) and np.allclose(origin, plain, rtol=1e-9, atol=near):
        return origin, direction, ()
    return plain, geometry.IDENTITY, (ignored,)
