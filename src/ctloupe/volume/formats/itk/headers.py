"""What the text headers of MetaImage and NRRD say of the voxels, read distrustfully."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from ctloupe.foundation.errors import FileError, GeometryError

_MOST_HEADER_BYTES = 1 << 20
# The NRRD library quotes a field that it cannot read in a buffer of fixed size, and writes beyond its end.
_MOST_LINE_CHARACTERS = 1000
_TRUE_OR_FALSE = ("BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB", "CompressedData")
_PLACES = (("Offset", "Position", "Origin"), ("TransformMatrix", "Rotation", "Orientation"))
# In units of the file. The library turns round for ever in a matrix with larger numbers.
_MOST = 1e12
# The two micro signs are U+00B5 and U+03BC.
_MILLIMETRES = {"": 1.0, "?": 1.0, "mm": 1.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "cm": 10.0, "m": 1e3}
_LONG_NAMES = {"millimeter": "mm", "millimetre": "mm", "micron": "um", "micrometer": "um", "micrometre": "um"}


@dataclass(frozen=True)
class StoredVoxels:
    """Where the voxels of a file lie, and how.

    Attributes
    ----------
    file
        File that holds them: the one with the header, or one beside it.
    offset
        Number of bytes before them; negative when they are the last bytes of the file.
    encoding
        Name of the encoding, ``raw`` or ``zlib`` among others.
    millimetres
        Length of the header's unit in mm.
    library
        Name of ITK's reader of the format.
    compressed_bytes
        Length of the compressed voxels as the header states it; None where the format states none.
    notes
        What the header left open.
    """

    file: Path
    offset: int
    encoding: str
    millimetres: float
    library: str
    compressed_bytes: int | None = None
    notes: tuple[str, ...] = ()


def voxels_of(path: Path) -> StoredVoxels:
    """Read the header of a MetaImage or NRRD file.

    Raises
    ------
    FileError
        If the header is damaged, or describes voxels that are not read, for instance as text, or that lie outside the
        folder of the header.
    GeometryError
        If it states no voxel size for each axis, or an unknown unit, or a place that is not made of finite numbers.
    """
    with path.open("rb") as file:
        head = file.read(_MOST_HEADER_BYTES)
    try:
        return _nrrd(path, head) if head.startswith(b"NRRD") else _metaimage(path, head)
    except KeyError as error:
        raise FileError(f"{path}: damaged header (no field {error.args[0]!r}); fetch the file again") from error
    except (ValueError, OverflowError) as error:
        raise FileError(f"{path}: damaged header ({error}); fetch the file again") from error


def _metaimage(path: Path, head: bytes) -> StoredVoxels:
    end = re.search(rb"(?m)^ElementDataFile[ \t]*=[^\n]*\n?", head)
    if end is None:
        raise FileError(f"{path}: no MetaImage header, or one without ElementDataFile; fetch the file again")
    fields: dict[str, str] = {}
    for line in head[: end.end()].decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        _require_short(path, key, line)
        if line.strip() and not equals:
            raise FileError(f"{path}: damaged header (line {line.strip()[:40]!r} is no field); fetch the file again")
        _require_new(path, fields, key.strip())
        fields[key.strip()] = value.strip()
    for field in _TRUE_OR_FALSE:
        _require_one_of(path, field, fields.get(field), ("true", "false", "t", "f", "1", "0"))
    # The library says in lines of its own what it lacks.
    fields["ElementType"]
    axes = int(fields["NDims"])
    _require_sizes(path, fields["DimSize"], axes)
    if fields.get("BinaryData", "True").lower().startswith("f"):
        raise FileError(f"{path}: voxels written as text are not read; save it as binary first")
    sizes = fields.get("ElementSpacing") or fields.get("ElementSize")
    _require_spacing(path, [float(size) for size in (sizes or "").split()], axes)
    for names, count in zip(_PLACES, (axes, axes * axes), strict=True):
        for name in names:
            _require_numbers(path, name, fields.get(name), count)
    name = fields["ElementDataFile"]
    if name.split(" ")[0] == "LIST" or "%" in name:
        raise FileError(f"{path}: its voxels are spread over several files; save it as one .mha first")
    local = name.upper() == "LOCAL"
    if not local:
        _require_inside(path, "ElementDataFile", name)
    offset = int(fields.get("HeaderSize", "0"))
    compressed = fields.get("CompressedData", "False").lower().startswith("t")
    return StoredVoxels(
        file=path if local else path.parent / name,
        offset=end.end() if local and offset == 0 else offset,
        encoding="zlib" if compressed else "raw",
        millimetres=_unit(path, fields.get("DistanceUnits", "")),
        library="MetaImageIO",
        compressed_bytes=int(fields.get("CompressedDataSize", "0")) if compressed else None,
        notes=() if any(name in fields for name in _PLACES[0]) else ("no origin in the header, taken as zero",),
    )


def _nrrd(path: Path, head: bytes) -> StoredVoxels:
    end = re.search(rb"\r?\n\r?\n", head)
    text = head[: end.start()] if end else head
    fields: dict[str, str] = {}
    for line in text.decode("utf-8", "replace").splitlines()[1:]:
        key, colon, value = line.partition(":")
        if line.startswith("#") or value.startswith("="):
            continue
        _require_short(path, key, line)
        if colon:
            _require_new(path, fields, key.strip().lower())
            fields[key.strip().lower()] = value.strip()
    _require_one_of(path, "endian", fields.get("endian"), ("little", "big"))
    axes = int(fields["dimension"])
    _require_spacing(path, _nrrd_steps(path, fields, axes), axes)
    if axes == 3 and (origin := fields.get("space origin")) is not None:
        _require_numbers(path, "space origin", origin.strip("()").replace(",", " "), axes)
    units = set(re.findall(r'"([^"]*)"', fields.get("space units", fields.get("units", ""))))
    if len(units) > 1:
        found = ", ".join(sorted(units))
        raise GeometryError(f"{path}: axes in different units ({found}); expected the same, as mm")
    name = fields.get("data file") or fields.get("datafile")
    if name and (name.split()[0] == "LIST" or "%" in name):
        raise FileError(f"{path}: its voxels are spread over several files; save it as one .nrrd first")
    if name:
        _require_inside(path, "data file", name)
    encoding = fields["encoding"].lower()
    skip = int(fields.get("byte skip", fields.get("byteskip", "0")))
    if skip and encoding in ("gzip", "gz"):
        raise FileError(f"{path}: byte skip {skip} into compressed voxels is not read; save it without")
    begin = 0 if name else (end.end() if end else len(head))
    lines = int(fields.get("line skip", fields.get("lineskip", "0")))
    return StoredVoxels(
        file=path.parent / name if name else path,
        offset=-1 if skip < 0 else begin + skip,
        encoding=encoding if lines == 0 else "skipped lines",
        millimetres=_unit(path, units.pop() if units else ""),
        library="NrrdImageIO",
        notes=() if "space origin" in fields else ("no origin in the header, taken as zero",),
    )


def _nrrd_steps(path: Path, fields: dict[str, str], axes: int) -> list[float]:
    """Return the voxel size along every axis that has one; an axis of vectors or times has none."""
    directions = fields.get("space directions", "")
    stated = re.findall(r"\([^)]*\)|[^\s()]+", directions) or fields.get("spacings", "").split()
    unknown = [one for one in stated if one.lower() in ("none", "nan")]
    if unknown and axes == 3:
        field = "space directions" if directions else "spacings"
        raise GeometryError(
            f"{path}: {field} is {' '.join(stated)}, so the voxel size of an axis is unknown, and none is guessed; "
            "put it into the header"
        )
    known = [one for one in stated if one not in unknown]
    return [math.hypot(*(float(part) for part in one.strip("()").split(","))) for one in known]


def _require_short(path: Path, key: str, line: str) -> None:
    if len(line) > _MOST_LINE_CHARACTERS:
        raise FileError(
            f"{path}: field {key.strip()[:20]!r} of the header has {len(line)} characters, expected at most "
            f"{_MOST_LINE_CHARACTERS}; fetch the file again"
        )


def _require_new(path: Path, fields: dict[str, str], key: str) -> None:
    if key in fields:
        raise FileError(f"{path}: field {key[:40]!r} is twice in the header, so it is unclear which one holds")


def _require_numbers(path: Path, field: str, text: str | None, count: int) -> None:
    """Raise unless a field that is there holds `count` finite numbers."""
    if text is None:
        return
    try:
        numbers = [float(part) for part in text.split()]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(abs(number) <= _MOST for number in numbers):
        raise GeometryError(
            f"{path}: {field} = {text[:60]} in the header; expected {count} finite numbers: repair the header"
        )


def _require_sizes(path: Path, text: str, axes: int) -> None:
    """Raise unless there is one whole number of voxels for each axis."""
    sizes = text.split()
    if len(sizes) != axes or not all(size.isdecimal() and size.isascii() for size in sizes):
        raise FileError(
            f"{path}: DimSize = {text[:60]} in the header; expected {axes} whole numbers: fetch the file again"
        )


def _require_one_of(path: Path, field: str, text: str | None, expected: tuple[str, ...]) -> None:
    """Raise unless a field that is there has one of the values `expected`, which the library would not mind."""
    if text is not None and text.lower() not in expected:
        raise FileError(f"{path}: {field} is {text[:40]} in the header, expected {' or '.join(expected[:2])}")


def _require_inside(path: Path, field: str, name: str) -> None:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise FileError(
            f"{path}: {field} {name[:60]} leads out of the folder of the header; put the voxels beside the header"
        )


def _require_spacing(path: Path, sizes: list[float], axes: int) -> None:
    if not sizes:
        raise GeometryError(f"{path}: no voxel size in the header, and none is guessed; add it to the header")
    if axes == 3 and len(sizes) != axes:
        raise GeometryError(f"{path}: a voxel size of {len(sizes)} numbers in the header; expected {axes}")
    if not all(1 / _MOST <= size <= _MOST for size in sizes):
        stated = "×".join(f"{size:g}" for size in sizes)
        raise GeometryError(f"{path}: a voxel size of {stated} in the header; expected numbers > 0")


def _unit(path: Path, name: str) -> float:
    short = _LONG_NAMES.get(name.lower().removesuffix("s"), name)
    if short not in _MILLIMETRES:
        raise GeometryError(f"{path}: unknown unit of length '{name}'; expected mm, um, cm or m")
    return _MILLIMETRES[short]
