"""What the text headers of MetaImage and NRRD say of the voxels, read distrustfully."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from ctloupe.foundation.errors import FileError, GeometryError

_MOST_HEADER_BYTES = 1 << 20
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
    """

    file: Path
    offset: int
    encoding: str
    millimetres: float
    library: str


def voxels_of(path: Path) -> StoredVoxels:
    """Read the header of a MetaImage or NRRD file.

    Raises
    ------
    FileError
        If the header is damaged, or describes voxels that are not read, for instance as text.
    GeometryError
        If it states no voxel size, or an unknown unit.
    """
    with path.open("rb") as file:
        head = file.read(_MOST_HEADER_BYTES)
    try:
        return _nrrd(path, head) if head.startswith(b"NRRD") else _metaimage(path, head)
    except (ValueError, KeyError) as error:
        raise FileError(f"{path}: damaged header ({error}); fetch the file again") from error


def _metaimage(path: Path, head: bytes) -> StoredVoxels:
    end = re.search(rb"(?m)^ElementDataFile[ \t]*=[^\n]*\n?", head)
    if end is None:
        raise FileError(f"{path}: no MetaImage header, or one without ElementDataFile; fetch the file again")
    fields: dict[str, str] = {}
    for line in head[: end.end()].decode("utf-8", "replace").splitlines():
        key, _, value = line.partition("=")
        fields[key.strip()] = value.strip()
    if fields.get("BinaryData", "True").lower().startswith("f"):
        raise FileError(f"{path}: voxels written as text are not read; save it as binary first")
    sizes = fields.get("ElementSpacing") or fields.get("ElementSize")
    _require_spacing(path, [float(size) for size in (sizes or "").split()])
    name = fields["ElementDataFile"]
    if name.split(" ")[0] == "LIST" or "%" in name:
        raise FileError(f"{path}: its voxels are spread over several files; save it as one .mha first")
    local = name.upper() == "LOCAL"
    offset = int(fields.get("HeaderSize", "0"))
    compressed = fields.get("CompressedData", "False").lower().startswith("t")
    return StoredVoxels(
        file=path if local else path.parent / name,
        offset=end.end() if local and offset == 0 else offset,
        encoding="zlib" if compressed else "raw",
        millimetres=_unit(path, fields.get("DistanceUnits", "")),
        library="MetaImageIO",
    )


def _nrrd(path: Path, head: bytes) -> StoredVoxels:
    end = re.search(rb"\r?\n\r?\n", head)
    text = head[: end.start()] if end else head
    fields: dict[str, str] = {}
    for line in text.decode("utf-8", "replace").splitlines()[1:]:
        key, colon, value = line.partition(":")
        if colon and not line.startswith("#") and not value.startswith("="):
            fields[key.strip().lower()] = value.strip()
    vectors = re.findall(r"\(([^)]*)\)", fields.get("space directions", ""))
    if vectors:
        steps = [math.hypot(*(float(part) for part in vector.split(","))) for vector in vectors]
    else:
        steps = [float(size) for size in fields.get("spacings", "").split() if size.lower() != "nan"]
    _require_spacing(path, steps)
    units = set(re.findall(r'"([^"]*)"', fields.get("space units", fields.get("units", ""))))
    if len(units) > 1:
        found = ", ".join(sorted(units))
        raise GeometryError(f"{path}: axes in different units ({found}); expected the same, as mm")
    name = fields.get("data file") or fields.get("datafile")
    if name and (name.split()[0] == "LIST" or "%" in name):
        raise FileError(f"{path}: its voxels are spread over several files; save it as one .nrrd first")
    encoding = fields["encoding"].lower()
    skip = int(fields.get("byte skip", fields.get("byteskip", "0")))
    begin = 0 if name else (end.end() if end else len(head))
    lines = int(fields.get("line skip", fields.get("lineskip", "0")))
    return StoredVoxels(
        file=path.parent / name if name else path,
        offset=-1 if skip < 0 else begin + skip,
        encoding=encoding if lines == 0 else "skipped lines",
        millimetres=_unit(path, units.pop() if units else ""),
        library="NrrdImageIO",
    )


def _require_spacing(path: Path, sizes: list[float]) -> None:
    if not sizes:
        raise GeometryError(f"{path}: no voxel size in the header, and none is guessed; add it to the header")
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        stated = "×".join(f"{size:g}" for size in sizes)
        raise GeometryError(f"{path}: a voxel size of {stated} in the header; expected numbers > 0")


def _unit(path: Path, name: str) -> float:
    short = _LONG_NAMES.get(name.lower().removesuffix("s"), name)
    if short not in _MILLIMETRES:
        raise GeometryError(f"{path}: unknown unit of length '{name}'; expected mm, um, cm or m")
    return _MILLIMETRES[short]
