"""Where the voxels of an NRRD file lie, read from its text header, and whether a result lies where its scan does."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from CTLoupeLib.command import CommandError

_MOST_HEADER_BYTES = 1 << 20
# Coordinates are compared in RAS.
_TO_RAS = {"left-posterior-superior": (-1, -1, 1), "lps": (-1, -1, 1), "right-anterior-superior": (1, 1, 1)}
_TO_RAS.update({"ras": (1, 1, 1), "left-anterior-superior": (-1, 1, 1), "las": (-1, 1, 1)})

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Grid:
    """Voxels in space.

    Attributes
    ----------
    sizes
        Voxels along i, j and k.
    steps
        RAS vectors in mm from a voxel to the next along i, j and k.
    origin
        Centre of the first voxel in RAS.
    """

    sizes: tuple[int, int, int]
    steps: tuple[Point, Point, Point]
    origin: Point

    def point(self, index: Sequence[float]) -> Point:
        """Return the RAS point of a (fractional) index (i, j, k)."""
        x, y, z = (
            self.origin[axis] + sum(index[number] * self.steps[number][axis] for number in range(3))
            for axis in range(3)
        )
        return x, y, z

    def index(self, point: Sequence[float]) -> Point:
        """Return the index (i, j, k) of a RAS point, of steps that are at right angles to each other."""
        offset = [point[axis] - self.origin[axis] for axis in range(3)]
        i, j, k = (_dot(offset, step) / _dot(step, step) for step in self.steps)
        return i, j, k


def grid_of(path: Path) -> Grid:
    """Return the grid of a three-dimensional NRRD file.

    Raises
    ------
    CommandError
        If the file is none, or does not say where it lies.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_MOST_HEADER_BYTES).split(b"\n\n")[0].replace(b"\r", b"")
    except OSError as error:
        raise CommandError(f"{path.name}: cannot be read: {error.strerror}") from error
    fields = dict(re.findall(r"(?m)^([a-z ]+): (.*)$", head.decode("ascii", "replace")))
    vectors = [_numbers(one) for one in re.findall(r"\(([^)]*)\)", fields.get("space directions", ""))]
    origin = _numbers(fields.get("space origin", "").strip("() "))
    sizes = fields.get("sizes", "").split()
    signs = _TO_RAS.get(fields.get("space", "").strip().lower())
    triples = [*vectors, origin]
    if not head.startswith(b"NRRD") or signs is None or len(sizes) != 3 or [len(one) for one in triples] != [3] * 4:
        raise CommandError(f"{path.name}: not a volume of three axes that says where it lies")
    first, second, third, start = ((signs[0] * x, signs[1] * y, signs[2] * z) for x, y, z in triples)
    return Grid((int(sizes[0]), int(sizes[1]), int(sizes[2])), (first, second, third), start)


def require_same_place(scan: Grid, made: Grid) -> None:
    """Refuse a result that does not lie inside its scan, with its axes along those of the scan.

    Raises
    ------
    CommandError
        If axes are not parallel to 1e-3, or a corner lies more than half a voxel of the scan outside.
    """
    for axis in range(3):
        one, other = scan.steps[axis], made.steps[axis]
        if _dot(one, other) < (1 - 1e-6) * math.sqrt(_dot(one, one) * _dot(other, other)):
            raise CommandError("the result is turned against the scan; it is not loaded")
    for corner in range(8):
        outer = [made.sizes[axis] - 0.5 if corner >> axis & 1 else -0.5 for axis in range(3)]
        index = scan.index(made.point(outer))
        if any(not -1 <= index[axis] <= scan.sizes[axis] for axis in range(3)):
            raise CommandError("the result reaches outside the scan; it is not loaded")


def _numbers(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(one) for one in text.split(","))
    except ValueError:
        return ()
    return found if all(math.isfinite(one) for one in found) else ()


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(one[axis] * other[axis] for axis in range(3))
