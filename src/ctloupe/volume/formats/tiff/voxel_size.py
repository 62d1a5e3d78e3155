"""What a TIFF says of its voxel size, and whether that is to be believed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from ctloupe.foundation.errors import GeometryError
from ctloupe.volume import geometry

_MM_PER_UNIT = {
    "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0,
    "um": 1e-3, "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3, "micrometre": 1e-3,
    "nm": 1e-6, "nanometer": 1e-6, "cm": 10.0, "centimeter": 10.0, "m": 1000.0, "meter": 1000.0,
    "inch": 25.4, "in": 25.4,
}  # fmt: skip
# What scanners of paper and drawing programs put there when nobody measured anything.
_PRINT_DPI = (72, 75, 90, 96, 100, 120, 150, 180, 200, 240, 300, 350, 400, 600, 1200)
_MM_PER_RESOLUTION_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 1e-3}

PartialSize = tuple[float | None, float | None, float | None]


@dataclass(frozen=True)
class Statement:
    """What one source in a file says the voxel size is, (z, y, x) in mm."""

    source: str
    size: PartialSize

    def __str__(self) -> str:
        values = ", ".join("?" if value is None else f"{value:.6g}" for value in self.size)
        return f"{self.source}: {values}"


def stated(tif: tifffile.TiffFile, page: tifffile.TiffPage) -> tuple[tuple[Statement, ...], dict[str, Any]]:
    """Return every voxel size that an open file states, and what `write_tiff` noted in it besides.

    Returns
    -------
    statements
        At most one for each of OME-XML, ImageJ and the resolution tags; print resolutions are left out.
    place
        ``origin``, ``modality``, ``units`` and ``history`` of a file written here, and nothing of any other.
    """
    statements: list[Statement] = []
    place: dict[str, Any] = {}
    if tif.ome_metadata:
        statement, place = _ome_statement(tif.ome_metadata)
        statements.append(statement)
    y, x = _pixel(page, "YResolution"), _pixel(page, "XResolution")
    if tif.imagej_metadata is not None:
        statements.append(_imagej_statement(tif.imagej_metadata, y, x))
    else:
        unit = _MM_PER_RESOLUTION_UNIT.get(int(page.tags.valueof("ResolutionUnit", default=2)))
        in_plane = [None if one is None or unit is None or _is_print(one * unit) else one * unit for one in (y, x)]
        statements.append(Statement("resolution tags", (None, in_plane[0], in_plane[1])))
    return tuple(one for one in statements if any(one.size)), place


def _ome_statement(xml: str) -> tuple[Statement, dict[str, Any]]:
    try:
        # Of text, which is decoded already, the parser does not ask what encoding it declares.
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError):
        root = ElementTree.Element("OME")
    pixels = root.find(".//{*}Pixels")
    if pixels is None:
        return Statement("OME-XML", (None, None, None)), {}
    z, y, x = (_in_mm(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "ZYX")
    return Statement("OME-XML", (z, y, x)), _our_place(root, pixels)


def _imagej_statement(metadata: dict[str, Any], y: float | None, x: float | None) -> Statement:
    unit = metadata.get("unit", "")
    z = _in_mm(metadata.get("spacing"), metadata.get("zunit", unit))
    return Statement("ImageJ", (z, _in_mm(y, metadata.get("yunit", unit)), _in_mm(x, unit)))


def _our_place(root: ElementTree.Element, pixels: ElementTree.Element) -> dict[str, Any]:
    # A stage position of somebody else's microscope is no LPS origin, so only our own files are asked.
    try:
        ours = json.loads(root.findtext(".//{*}Image/{*}Description") or "")["ctloupe"]
        place = {
            "modality": ours["modality"] if ours["modality"] in ("clinical", "micro") else "unknown",
            "units": "HU" if ours["units"] == "HU" else "raw",
            "history": tuple(str(line) for line in ours["history"]),
        }
    except (ValueError, KeyError, TypeError):
        return {}
    plane = pixels.find("{*}Plane")
    if plane is not None and all(plane.get(f"Position{axis}Unit") == "mm" for axis in "XYZ"):
        place["origin"] = tuple(float(plane.get(f"Position{axis}", "nan")) for axis in "XYZ")
    return place


def _in_mm(value: Any, unit: Any) -> float | None:
    """Return `value` in millimetres, or None where value or unit is not a length."""
    name = re.sub(r"\\u00[Bb]5|µ|μ", "u", str(unit).strip())
    # Symbols keep their case: Mm is a million metres.
    name = name.lower() if len(name) > 2 else name
    try:
        length = float(value) * _MM_PER_UNIT[name]
    except (KeyError, TypeError, ValueError):
        return None
    return length if np.isfinite(length) and length > 0 else None


def _pixel(page: tifffile.TiffPage, tag: str) -> float | None:
    """Return the units a pixel from a resolution tag (pixels a unit), or None for the 1/1 that says "not known"."""
    value = page.tags.valueof(tag)
    if not isinstance(value, tuple) or len(value) != 2 or min(value) <= 0 or value[0] == value[1]:
        return None
    return float(value[1] / value[0])


def _is_print(pixel_mm: float) -> bool:
    return any(abs(25.4 / pixel_mm - dpi) < 0.01 * dpi for dpi in _PRINT_DPI)


def settle_voxel_size(
    path: Path, statements: Sequence[Statement], given: tuple[float, float, float] | None
) -> tuple[geometry.Triple, tuple[str, ...]]:
    """Return the voxel size (z, y, x) in mm to use for `path`, and what its history should tell.

    Raises
    ------
    GeometryError
        If nothing is `given` and the statements contradict each other by more than 1 % or none is complete.
    """
    listed = "; ".join(str(statement) for statement in statements)
    if given is not None:
        size = (float(given[0]), float(given[1]), float(given[2]))
        if all(_agree(statement.size, size, 1e-6) for statement in statements):
            return size, ()
        return size, (f"voxel size {size} mm (z, y, x) given by the user; the file states {listed}",)
    advice = "give the true one with `voxel_size` Z,Y,X in mm"
    for number, one in enumerate(statements):
        if not all(_agree(one.size, other.size, 0.01) for other in statements[number + 1 :]):
            raise GeometryError(f"{path}: voxel sizes (z, y, x) in mm contradict each other: {listed}; {advice}")
    for statement in statements:
        z, y, x = statement.size
        if z is not None and y is not None and x is not None:
            return (z, y, x), ()
    found = f"only {listed} (z, y, x in mm)" if listed else "nothing usable"
    raise GeometryError(f"{path}: does not state the voxel size, found {found}; {advice}")


def _agree(one: PartialSize, other: PartialSize, tolerance: float) -> bool:
    pairs = zip(one, other, strict=True)
    return all(a is None or b is None or abs(a - b) <= tolerance * max(a, b) for a, b in pairs)
