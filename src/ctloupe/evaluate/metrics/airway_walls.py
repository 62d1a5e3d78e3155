"""Airway walls: how thick they are, and how wide their edge is, by profiles across labelled walls.

Rays go out from the middle of every labelled lumen cross-section. They are shifted so that the labelled inner border
lies at zero and averaged, which leaves one profile an airway in which single alveolar walls do not count. The wall is
the full width at half maximum of that profile, as clinical airway programs measure it; the edge is its inner rise from
10 to 90%.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label, map_coordinates

from ctloupe.evaluate.metrics.base import LABELS, Accumulator, Metric, SizeTable, finite_mean
from ctloupe.evaluate.metrics.questions import AIRWAY_WALLS
from ctloupe.evaluate.metrics.structure import SIZE_CLASSES_MM, equivalent_diameters, size_class
from ctloupe.phantom.anatomies.base import WallLabels

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Reference, Setting

RAYS: Final = 64
LEAST_DIAMETER_MM: Final = 0.8
LARGEST_AXIS_RATIO: Final = 2.0
"""Largest axis ratio of a cross-section that counts; longer ones are airways cut along."""

BEFORE_MM: Final = 0.5
AFTER_MM: Final = 1.2
CLEAR_MM: Final = 0.25
"""Length outside a wall that has to be parenchyma, so that no vessel counts as wall."""

LEAST_RAYS: Final = 16
LEAST_RISE_HU: Final = 30.0

Plane = NDArray[Any]
Profile = NDArray[np.float64]


@dataclass(frozen=True)
class WallProfiles:
    """Where to read the profiles of the airways of one slice.

    Attributes
    ----------
    places : list of (2, rays, samples)
        Pixel coordinates of each airway.
    thickness : (n,) in mm
        Thickness of each labelled wall, mean over the rays.
    diameter : (n,) in mm
        Diameter of each labelled lumen.
    along : (samples,) in mm
        Distances from the labelled inner border.
    """

    places: list[NDArray[np.float64]]
    thickness: NDArray[np.float64]
    diameter: NDArray[np.float64]
    along: Profile


def wall_profiles(labels: Plane, spacing: tuple[float, float], numbers: WallLabels) -> WallProfiles:
    """Choose airways and rays from the labels of a slice with pixels of `spacing` (y, x) mm.

    An airway counts when its lumen is at least 0.8 mm wide, not cut along, and off the slice's border; a ray counts
    when its wall is followed by a quarter of a millimetre of the tissue that `numbers` names after lumen and wall.
    """
    step = 0.25 * min(spacing)
    along = np.arange(-BEFORE_MM, AFTER_MM + step / 2, step)
    regions, count = label(labels == numbers.lumen)
    diameters = equivalent_diameters(np.bincount(regions.ravel(), minlength=count + 1), spacing)
    touching = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    places, thickness, diameter = [], [], []
    for number, box in enumerate(find_objects(regions), 1):
        if diameters[number] < LEAST_DIAMETER_MM or number in touching:
            continue
        points = np.argwhere(regions[box] == number) + [one.start for one in box]
        if _axis_ratio(points * np.asarray(spacing)) > LARGEST_AXIS_RATIO:
            continue
        found = _rays(labels, numbers, points.mean(0), diameters[number], spacing, along, step)
        if found is not None:
            places.append(found[0])
            thickness.append(found[1])
            diameter.append(diameters[number])
    return WallProfiles(places, np.array(thickness), np.array(diameter), along)


def _axis_ratio(points: NDArray[np.float64]) -> float:
    """Ratio of the axes of the ellipse with the moments of points (n, 2) in mm."""
    small, large = np.linalg.eigvalsh(np.cov(points.T) + 1e-9 * np.eye(2))
    return float(np.sqrt(large / small))


def _rays(
    labels: Plane,
    numbers: WallLabels,
    centre: NDArray[np.float64],
    diameter: float,
    spacing: tuple[float, float],
    along: Profile,
    step: float,
) -> tuple[NDArray[np.float64], float] | None:
    angles = np.arange(RAYS) * (2 * np.pi / RAYS)
    ways = np.stack([np.sin(angles), np.cos(angles)]) / np.asarray(spacing)[:, None]
    reach = np.arange(0, LARGEST_AXIS_RATIO * diameter + AFTER_MM + CLEAR_MM, step)
    where = centre[:, None, None] + ways[:, :, None] * reach
    met = map_coordinates(labels, where, order=0, mode="constant", cval=0)
    is_wall, is_lumen = met == int(numbers.wall), met == int(numbers.lumen)
    begins = np.argmax(is_wall, axis=1)
    begun = np.arange(reach.size) >= begins[:, None]
    ends = np.argmin(~begun | is_wall, axis=1)
    straight = (begins > 0) & (begins < ends) & (is_lumen | begun).all(axis=1)
    clear = ends[:, None] + np.arange(round(CLEAR_MM / step))
    outside = np.take_along_axis(met, np.minimum(clear, reach.size - 1), axis=1) == int(numbers.around)
    kept = np.flatnonzero(straight & (clear < reach.size).all(axis=1) & outside.all(axis=1))
    if len(kept) < LEAST_RAYS:
        return None
    start = reach[begins[kept]] - step / 2
    places = centre[:, None, None] + ways[:, kept, None] * (start[:, None] + along)
    return places, float(np.mean((ends - begins)[kept]) * step)


def profiles(plane: Plane, where: WallProfiles) -> list[Profile]:
    """Mean profile in HU of each airway, by linear interpolation."""
    image = np.asarray(plane, np.float32)
    return [map_coordinates(image, one, order=1, mode="nearest").mean(0).astype(float) for one in where.places]


def wall_thickness(profile: Profile, along: Profile, expected: float) -> float:
    """Full width at half maximum in mm of the wall near 0; NaN where there is none.

    Parameters
    ----------
    profile, along
        HU, and mm from the inner border.
    expected
        Thickness in mm: the highest point is looked for within half a millimetre of such a wall.
    """
    peak = _peak(profile, along, expected)
    inner, outer = profile[: peak + 1].min(), profile[peak:].min()
    if profile[peak] - max(inner, outer) < LEAST_RISE_HU:
        return float("nan")
    rise = _crossing(profile[peak::-1], along[peak::-1], (profile[peak] + inner) / 2)
    fall = _crossing(profile[peak:], along[peak:], (profile[peak] + outer) / 2)
    return fall - rise


def edge_width(profile: Profile, along: Profile, expected: float) -> float:
    """Distance in mm over which the inner side of the wall rises from 10 to 90% of its height; NaN without a rise."""
    peak = _peak(profile, along, expected)
    low = int(np.argmin(profile[: peak + 1]))
    height = profile[peak] - profile[low]
    if height < LEAST_RISE_HU:
        return float("nan")
    part, place = profile[low : peak + 1][::-1], along[low : peak + 1][::-1]
    return _crossing(part, place, profile[low] + 0.9 * height) - _crossing(part, place, profile[low] + 0.1 * height)


def _peak(profile: Profile, along: Profile, expected: float) -> int:
    near = (along >= -BEFORE_MM / 2) & (along <= expected + 0.5)
    return int(np.flatnonzero(near)[np.argmax(profile[near])])


def _crossing(values: Profile, places: Profile, level: float) -> float:
    """Place where values that begin above `level` first fall below it, linearly interpolated."""
    below = np.flatnonzero(values < level)
    if not below.size:
        return float(places[-1])
    at = int(below[0])
    share = (values[at - 1] - level) / (values[at - 1] - values[at])
    return float(places[at - 1] + share * (places[at] - places[at - 1]))


@dataclass
class WallScore:
    """What was measured of the airways of one image, slice by slice."""

    thickness: list[float] = field(default_factory=list)
    labelled: list[float] = field(default_factory=list)
    diameter: list[float] = field(default_factory=list)
    edges: list[float] = field(default_factory=list)

    def add(self, plane: Plane, where: WallProfiles) -> None:
        """Take a slice in HU into account."""
        for profile, labelled, diameter in zip(profiles(plane, where), where.thickness, where.diameter, strict=True):
            self.thickness.append(wall_thickness(profile, where.along, float(labelled)))
            self.edges.append(edge_width(profile, where.along, float(labelled)))
            self.labelled.append(float(labelled))
            self.diameter.append(float(diameter))

    def thickness_error(self) -> float:
        """Mean absolute error of the thickness in mm, over the walls that were found."""
        return finite_mean(np.abs(np.subtract(self.thickness, self.labelled)))

    def found(self) -> float:
        """Share of the labelled walls that were found; NaN without any."""
        return float(np.mean(np.isfinite(self.thickness))) if self.thickness else float("nan")

    def edge_width(self) -> float:
        """Mean width of the inner edges in mm."""
        return finite_mean(self.edges)

    def by_size(self) -> dict[str, tuple[int, float, float]]:
        """Number of airways, mean labelled thickness and mean absolute error in mm, by class of lumen diameter."""
        diameter, labelled = np.asarray(self.diameter), np.asarray(self.labelled)
        off = np.abs(np.asarray(self.thickness) - labelled)
        found = {}
        for index, (low, high) in enumerate(SIZE_CLASSES_MM):
            inside = (diameter >= low) & (diameter < high)
            found[size_class(index)] = (int(inside.sum()), finite_mean(labelled[inside]), finite_mean(off[inside]))
        return found


class WallsOfImage(Accumulator):
    """Labelled airway walls, measured in an image."""

    def __init__(self, setting: Setting) -> None:
        self._score = WallScore()

    def add(self, seen: ImageSlice) -> None:
        """Take a slice in HU into account."""
        self._score.add(seen.plane, seen.reference.once(_profiles_of_labels))

    def thickness_error(self) -> float:
        """Mean absolute error of the thickness in mm."""
        return self._score.thickness_error()

    def found(self) -> float:
        """Share of the labelled walls that were found."""
        return self._score.found()

    def edge_width(self) -> float:
        """Mean width of the inner edges in mm."""
        return self._score.edge_width()

    def by_size(self) -> dict[str, Any]:
        """Return number, labelled thickness and error by class of lumen diameter."""
        return {_BY_SIZE.structure: self._score.by_size()}


def _profiles_of_labels(reference: Reference) -> WallProfiles:
    anatomy = reference.setting.anatomy
    if anatomy is None or anatomy.walls is None:
        raise ValueError("the labels are of no anatomy with a measurable wall")
    return wall_profiles(reference.labels_inside, reference.setting.spacing, anatomy.walls)


def _has_walls(setting: Setting) -> bool:
    return setting.anatomy is not None and setting.anatomy.walls is not None


_BY_SIZE: Final = SizeTable(
    "wall",
    "Mean absolute error of airway-wall thickness in mm, by diameter of the lumen (labelled thickness).",
    cell="{2} ({1})",
)

WALL_THICKNESS_ERROR: Final = Metric(
    key="wall_thickness_error_mm",
    label="wall thickness error (mm)",
    unit="mm",
    meaning="mean of |full width at half maximum of the airway wall − labelled thickness| over cross-sections of at "
    f"least {LEAST_DIAMETER_MM:g} mm",
    better="less",
    question=AIRWAY_WALLS,
    needs=LABELS,
    has_limit=True,
    where=_has_walls,
    accumulator=WallsOfImage,
    sizes=_BY_SIZE,
    read=WallsOfImage.thickness_error,
)
WALLS_FOUND: Final = Metric(
    key="walls_found",
    label="walls found",
    unit="",
    meaning=f"share of these cross-sections whose wall rises at least {LEAST_RISE_HU:g} HU",
    better="more",
    question=AIRWAY_WALLS,
    needs=LABELS,
    has_limit=True,
    where=_has_walls,
    accumulator=WallsOfImage,
    sizes=_BY_SIZE,
    read=WallsOfImage.found,
)
EDGE_WIDTH: Final = Metric(
    key="edge_width_mm",
    label="edge width (mm)",
    unit="mm",
    meaning="mean 10–90% width of the inner edge of airway walls; read it with walls found",
    better="less",
    question=AIRWAY_WALLS,
    needs=LABELS,
    has_limit=True,
    where=_has_walls,
    accumulator=WallsOfImage,
    sizes=_BY_SIZE,
    read=WallsOfImage.edge_width,
)
WALLS: Final = (WALL_THICKNESS_ERROR, WALLS_FOUND, EDGE_WIDTH)
"""Airway walls."""
