"""OME-Zarr: the format that whole enhanced volumes are streamed to.

NGFF has scale and translation but no direction, so the exact 4×4 matrix stands beside it in an attribute of
our own. Every slice is one shard: two writers inside a shard corrupt it silently, and a slice is the least
that any writer here owns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.storage import LocalStore

from ctloupe.volume import geometry
from ctloupe.volume.errors import FileError, GeometryError, IntensityError
from ctloupe.volume.notice import RESEARCH_NOTICE
from ctloupe.volume.volume import LazyArray, Modality, Units, Volume, require_finite

_TILE = 512
_SLAB_BYTES = 1 << 25
_MARKERS = ("zarr.json", ".zattrs", ".zgroup")
_MM_PER_UNIT = {
    "millimeter": 1.0, "millimetre": 1.0, "mm": 1.0,
    "micrometer": 1e-3, "micrometre": 1e-3, "micron": 1e-3, "um": 1e-3, "µm": 1e-3,
    "nanometer": 1e-6, "nanometre": 1e-6, "nm": 1e-6, "angstrom": 1e-7, "picometer": 1e-9,
    "centimeter": 10.0, "centimetre": 10.0, "cm": 10.0, "decimeter": 100.0,
    "meter": 1000.0, "metre": 1000.0, "inch": 25.4,
}  # fmt: skip
# What zarr and its codecs raise for damaged metadata or chunks.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError)


def is_ome_zarr(path: Path) -> bool:
    """Whether `path` is a folder holding a Zarr group, or one named ``.zarr``, so that damage is reported."""
    path = Path(path)
    return path.is_dir() and (path.suffix == ".zarr" or any((path / name).is_file() for name in _MARKERS))


class OmeZarrWriter:
    """Writes a volume to a new OME-Zarr (NGFF 0.5, Zarr 3) store, a slab of whole slices at a time.

    Array ``0`` and, made on the way, `levels` coarser ones that each halve y and x by the rounded mean of four;
    chunks of 1×512×512 (clipped to the shape), all chunks of a slice in one shard, blosc-zstd 3 with bitshuffle
    and a CRC-32C for each chunk. Equal data and arguments give equal bytes, however the slices are divided
    into slabs. Slices never written read as `fill_value`. Several writers may fill different slices, never the
    same one.

    Parameters
    ----------
    path
        Folder to create; must not hold a store.
    shape, dtype
        (z, y, x), and an integer or floating type.
    spacing, origin, direction
        As in `Volume`.
    attributes
        Further entries of the ``ctloupe`` attribute, for instance ``{"history": [...]}``; JSON-able.
    levels
        Coarser levels; y and x must be divisible by 2 that many times.

    Raises
    ------
    FileError
        If the folder cannot be created or already holds a store.
    GeometryError, IntensityError
        If shape, spacing, origin, direction or type cannot be held.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any] | type | str,
        spacing: geometry.Triple,
        origin: geometry.Triple = (0.0, 0.0, 0.0),
        direction: geometry.Direction = geometry.IDENTITY,
        *,
        modality: Modality = "unknown",
        units: Units = "raw",
        attributes: dict[str, Any] | None = None,
        fill_value: float = 0,
        levels: int = 0,
    ) -> None:
        if shape[1] % (1 << levels) or shape[2] % (1 << levels):
            raise ValueError(f"{shape} cannot be halved {levels} times in y and x")
        self.path = Path(path)
        self.shape = (int(shape[0]), int(shape[1]), int(shape[2]))
        self.dtype = _plain_type(self.path, dtype)
        block = {
            "affine_lps": geometry.affine_lps(spacing, origin, geometry.as_direction(direction)).tolist(),
            "modality": modality,
            "units": units,
            "history": [],
            **(attributes or {}),
            "notice": RESEARCH_NOTICE,
        }
        places = [_level(level, spacing, origin) for level in range(levels + 1)]
        try:
            group = zarr.create_group(
                LocalStore(self.path),
                zarr_format=3,
                attributes={"ome": _ngff(places), "ctloupe": block},
            )
            self._arrays = [
                _create_level(
                    group,
                    str(level),
                    (self.shape[0], self.shape[1] >> level, self.shape[2] >> level),
                    self.dtype,
                    fill_value,
                )
                for level in range(levels + 1)
            ]
        except (OSError, ValueError) as error:
            raise FileError(f"{self.path}: cannot be created ({_first_line(error)}); name a new folder") from error

    @classmethod
    def reopen(cls, path: Path) -> OmeZarrWriter:
        """Go on writing to the store that another writer made.

        Raises
        ------
        FileError
            If it is not there or damaged.
        """
        writer = cls.__new__(cls)
        writer.path = Path(path)
        try:
            datasets = _attributes(writer.path)["ome"]["multiscales"][0]["datasets"]
            store = LocalStore(writer.path)
            writer._arrays = [zarr.open_array(store, path=str(one["path"]), mode="r+") for one in datasets]
        except _DAMAGE as error:
            raise FileError(f"{path}: cannot be opened for writing ({_first_line(error)})") from error
        depth, height, width = writer._arrays[0].shape
        writer.shape, writer.dtype = (depth, height, width), np.dtype(writer._arrays[0].dtype)
        return writer

    def files(self, z: int) -> list[Path]:
        """Files that hold slice `z`, one a level; a level of nothing but the fill value has none."""
        names = [self.path / str(level) / "c" / str(z) / "0" / "0" for level in range(len(self._arrays))]
        return [name for name in names if name.is_file()]

    def write(self, z0: int, slab: NDArray[Any]) -> None:
        """Write `slab` of shape (k, y, x) to the slices from `z0` on.

        Raises
        ------
        IntensityError
            If the slab holds NaN or infinity.
        FileError
            If the disk refuses it.
        """
        if slab.ndim != 3 or slab.shape[1:] != self.shape[1:] or not 0 <= z0 <= z0 + len(slab) <= self.shape[0]:
            raise ValueError(f"slab {slab.shape} at slice {z0} does not fit a volume of {self.shape}")
        if slab.dtype.newbyteorder("=") != self.dtype:
            raise ValueError(f"slab holds {slab.dtype}, the store {self.dtype}")
        require_finite(slab, str(self.path))
        try:
            for level, array in enumerate(self._arrays):
                slab = _halved(slab) if level else slab
                array[z0 : z0 + len(slab)] = slab
        except OSError as error:
            raise FileError(f"{self.path}: cannot be written ({_first_line(error)}); is the disk full?") from error

    def close(self) -> None:
        """End writing. Each slab is in its files when `write` returns, so a store left open is whole too."""
        self._arrays[0].store.close()

    def __enter__(self) -> OmeZarrWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _halved(slab: NDArray[Any]) -> NDArray[Any]:
    """Mean of every 2×2 pixels of ``(k, y, x)``; of integers rounded, halves up."""
    wide = np.int64 if slab.dtype.itemsize > 2 else np.int32
    if slab.dtype.kind == "f":
        return (0.25 * (_pairs(slab[:, ::2]) + _pairs(slab[:, 1::2]))).astype(slab.dtype)
    rows = np.add(slab[:, ::2], slab[:, 1::2], dtype=wide)
    return ((_pairs(rows) + 2) >> 2).astype(slab.dtype)


def _pairs(rows: NDArray[Any]) -> NDArray[Any]:
    total: NDArray[Any] = rows[..., ::2] + rows[..., 1::2]
    return total


def write_ome_zarr(volume: Volume, path: Path) -> None:
    """Write `volume` to a new OME-Zarr store at `path`, slab by slab, with direction; see `OmeZarrWriter`."""
    depth, height, width = volume.shape
    dtype = np.dtype(volume.data.dtype)
    step = max(1, _SLAB_BYTES // (height * width * dtype.itemsize))
    with OmeZarrWriter(
        path,
        volume.shape,
        dtype,
        volume.spacing,
        volume.origin,
        volume.direction,
        modality=volume.modality,
        units=volume.units,
        attributes={"history": list(volume.history)},
    ) as writer:
        for z0 in range(0, depth, step):
            writer.write(z0, np.asarray(volume.data[z0 : z0 + step]))


def _plain_type(path: Path, dtype: Any) -> np.dtype[Any]:
    plain = np.dtype(dtype).newbyteorder("=")
    if plain.kind not in "iuf":
        raise IntensityError(f"{path}: expected integer or floating voxels, found {plain}; convert them first")
    return plain


def _level(
    level: int, spacing: geometry.Triple, origin: geometry.Triple
) -> tuple[str, geometry.Triple, geometry.Triple]:
    """Path, scale and translation of a level that is 2^level times coarser in y and x; NGFF knows no direction."""
    if level:
        spacing, origin = geometry.coarsened_grid(spacing, origin, geometry.IDENTITY, 1 << level)
    return str(level), spacing, (origin[2], origin[1], origin[0])


def _ngff(levels: Sequence[tuple[str, geometry.Triple, geometry.Triple]]) -> dict[str, Any]:
    """NGFF 0.5 metadata; `levels` are (path, scale zyx, translation zyx) in mm, finest first."""
    axes = [{"name": axis, "type": "space", "unit": "millimeter"} for axis in "zyx"]
    datasets = [
        {
            "path": path,
            "coordinateTransformations": [
                {"type": "scale", "scale": [float(value) for value in scale]},
                {"type": "translation", "translation": [float(value) for value in translation]},
            ],
        }
        for path, scale, translation in levels
    ]
    return {"version": "0.5", "multiscales": [{"name": "ct", "axes": axes, "datasets": datasets}]}


def _create_level(
    group: zarr.Group, name: str, shape: tuple[int, int, int], dtype: np.dtype[Any], fill_value: float
) -> zarr.Array[Any]:
    _, height, width = shape
    chunks = (1, min(_TILE, height), min(_TILE, width))
    shards = (1, -(-height // chunks[1]) * chunks[1], -(-width // chunks[2]) * chunks[2])
    blosc = BloscCodec(typesize=dtype.itemsize, cname="zstd", clevel=3, shuffle="bitshuffle", blocksize=0)
    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        shards=None if shards == chunks else shards,
        dtype=dtype,
        # Blosc reads a damaged chunk as noise without complaint, so each chunk carries its checksum.
        compressors=[blosc, Crc32cCodec()],
        fill_value=dtype.type(fill_value),
        dimension_names=("z", "y", "x"),
        config={"write_empty_chunks": False},
    )


def read_ome_zarr(path: Path) -> Volume:
    """Volume of the finest level of an OME-Zarr store (NGFF 0.4 or 0.5), read when sliced.

    Origin and direction come from our own exact matrix where it agrees with the NGFF scale and translation;
    otherwise the origin is the translation and the direction the identity. A chunk that is not there holds
    the fill value.

    Raises
    ------
    FileError
        If metadata, array or (when slicing) a chunk is missing or damaged.
    GeometryError
        If an axis has no length unit, no scale, or is not z, y, x and longer than one.
    IntensityError
        If voxels are neither integers nor floats.
    """
    path = Path(path)
    attributes = _attributes(path)
    image = _finest(path, attributes)
    array, read = _open_array(path, image)
    layout = _layout(path, image.axes, array.shape)
    dtype = _plain_type(path, array.dtype)
    spacing, translation = _spacing_and_translation(path, image)
    origin, direction, told = _place(attributes.get("ctloupe"), spacing, translation)
    ours = attributes.get("ctloupe")
    ours = ours if isinstance(ours, dict) else {}
    history = ours.get("history")
    return Volume(
        data=LazyArray(layout.shape, dtype, lambda block: layout.select(read, block), str(path)),
        spacing=spacing,
        origin=origin,
        direction=direction,
        modality=ours["modality"] if ours.get("modality") in ("clinical", "micro") else "unknown",
        units="HU" if ours.get("units") == "HU" else "raw",
        history=(*(str(line) for line in (history if isinstance(history, list) else ())), *told),
    )


@dataclass(frozen=True)
class _Axis:
    name: str
    unit: str | None


@dataclass(frozen=True)
class _Image:
    """The finest level as the metadata describe it; `steps` are the transformations, first applied first."""

    dataset: str
    axes: tuple[_Axis, ...]
    steps: tuple[dict[str, Any], ...]


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


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileError(f"{file}: unreadable ({_first_line(error)}); copy the store again") from error
    if not isinstance(content, dict):
        raise FileError(f"{file}: expected a JSON object; copy or write the store again")
    return content


def _attributes(path: Path) -> dict[str, Any]:
    for name in ("zarr.json", ".zattrs"):
        if (path / name).is_file():
            content = _json(path / name)
            attributes = content.get("attributes") if name == "zarr.json" else content
            return attributes if isinstance(attributes, dict) else {}
    raise FileError(f"{path}: no zarr.json or .zattrs, so not OME-Zarr or not whole; copy it again")


def _finest(path: Path, attributes: dict[str, Any]) -> _Image:
    ome = attributes.get("ome", attributes)
    if not isinstance(ome, dict) or not ome.get("multiscales"):
        raise FileError(f"{path}: has no multiscales attribute; name the image inside it (perhaps {path.name}/0)")
    try:
        multiscale = ome["multiscales"][0]
        dataset = multiscale["datasets"][0]
        axes = tuple(_Axis(str(axis["name"]).lower(), axis.get("unit")) for axis in multiscale["axes"])
        steps = [
            *dataset["coordinateTransformations"],
            *multiscale.get("coordinateTransformations", ()),
        ]
        return _Image(str(dataset["path"]), axes, tuple(dict(step) for step in steps))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise GeometryError(
            f"{path}: its multiscales lack {_first_line(error)}; axes and coordinateTransformations as "
            "in NGFF 0.4 or 0.5 are needed, write it again with a current tool"
        ) from error


def _open_array(path: Path, image: _Image) -> tuple[Any, Callable[[tuple[slice | int, ...]], NDArray[Any]]]:
    folder = path / image.dataset
    try:
        array = zarr.open_array(LocalStore(folder, read_only=True), mode="r")
    except _DAMAGE as error:
        raise FileError(f"{folder}: no readable array ({_first_line(error)}); copy it again") from error
    if len(image.axes) != array.ndim:
        raise FileError(f"{folder}: has {array.ndim} axes, its metadata name {len(image.axes)}; write it again")
    # An empty file would pass as a chunk that was never written.
    hollow = next((file for file in folder.rglob("*") if file.is_file() and file.stat().st_size == 0), None)
    if hollow is not None:
        raise FileError(f"{hollow}: is empty; copy or write the store again")

    def read(key: tuple[slice | int, ...]) -> NDArray[Any]:
        try:
            return np.asarray(array[key])
        except _DAMAGE as error:
            raise FileError(
                f"{folder}: a chunk is damaged ({_first_line(error)}); copy or write the store again"
            ) from error

    return array, read


def _layout(path: Path, axes: Sequence[_Axis], stored: Sequence[int]) -> _Layout:
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


def _spacing_and_translation(path: Path, image: _Image) -> tuple[geometry.Triple, geometry.Triple]:
    count = len(image.axes)
    scale, translation, scaled = np.ones(count), np.zeros(count), False
    for step in image.steps:
        kind = step.get("type")
        values = np.asarray(step.get(str(kind), ()), dtype=np.float64) if kind in ("scale", "translation") else None
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


def _mm_per_unit(path: Path, axis: _Axis) -> float:
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
