"""Structures against labels: one stated segmentation rule, applied to every image alike, and to the truth itself.

A rule works in-plane: smooth, threshold half-way between the two tissues, open, and keep regions of a least size. What
it misses in the truth is the limit of the rule, which is why the truth is measured too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label
from scipy.spatial import cKDTree

from ctloupe.evaluate.metrics.base import LABELS, Accumulator, Metric, SizeTable
from ctloupe.evaluate.metrics.questions import STRUCTURES_FOUND, STRUCTURES_INVENTED, STRUCTURES_LOST
from ctloupe.phantom.anatomies.registry import anatomies
from ctloupe.phantom.structure_rule import StructureRule

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Reference, Setting

TOLERANCE_MM: Final = 0.3
"""How far a structure may lie from its place and still support it."""

SUPPORT: Final = 0.25
"""Share of a region that has to be within the tolerance of the other image's structure."""

SIZE_CLASSES_MM: Final = ((0.0, 2.0), (2.0, 3.0), (3.0, float("inf")))
"""Classes of cross-sections by equivalent diameter: from the first number up to, not including, the second."""

Plane = NDArray[Any]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Regions:
    """A structure in a slice, and which of its pixels touch by edges.

    Attributes
    ----------
    flags : bool (y, x)
        Where the structure is.
    places : (n,)
        Indices of its pixels, row by row.
    numbers : (n,)
        Number of the region, from 1 on, that each of them is of.
    sizes : (regions + 1,)
        Pixels of every region by its number; regions of none are no longer there.
    """

    flags: Flags
    places: NDArray[np.intp]
    numbers: NDArray[np.int32]
    sizes: NDArray[np.intp]

    @classmethod
    def of(cls, flags: Flags) -> Regions:
        """Number the regions of a structure."""
        regions, count = label(flags)
        places = np.flatnonzero(flags)
        numbers = regions.ravel()[places]
        return cls(flags, places, numbers, np.bincount(numbers, minlength=count + 1))

    def sized(self, least: float, spacing: tuple[float, float]) -> Regions:
        """Those of at least `least` mm equivalent diameter, of pixels of `spacing` (y, x) mm."""
        keep = equivalent_diameters(self.sizes, spacing) >= least
        kept = keep[self.numbers]
        places = self.places[kept]
        flags = np.zeros_like(self.flags)
        flags.ravel()[places] = True
        return Regions(flags, places, self.numbers[kept], np.where(keep, self.sizes, 0))


def segment(plane: Plane, rule: StructureRule, spacing: tuple[float, float]) -> Flags:
    """Apply a rule to a slice in HU with pixels of `spacing` (y, x) mm."""
    return _segment(plane, rule, spacing).flags


def _segment(plane: Plane, rule: StructureRule, spacing: tuple[float, float]) -> Regions:
    smooth = gaussian_filter(np.asarray(plane, np.float32), [rule.smoothing / edge for edge in spacing])
    found = (smooth > rule.between[0]) & (smooth < rule.between[1])
    return Regions.of(_opened(found, rule.opening, spacing)).sized(rule.least, spacing)


def labelled(labels: Plane, rule: StructureRule, spacing: tuple[float, float]) -> Flags:
    """The structure of a rule in a slice of labels, from its least size on."""
    return sized(np.isin(labels, rule.labels), rule.least, spacing)


def sized(flags: Flags, least: float, spacing: tuple[float, float]) -> Flags:
    """Regions of at least `least` mm equivalent diameter."""
    return Regions.of(flags).sized(least, spacing).flags


def equivalent_diameters(sizes: NDArray[np.integer], spacing: tuple[float, float]) -> NDArray[np.float64]:
    """Diameter in mm of the disk of each region's area, given its number of pixels."""
    return np.asarray(np.sqrt(sizes * (spacing[0] * spacing[1] * 4 / np.pi)))


def segmented(seen: ImageSlice, rule: StructureRule) -> Regions:
    """The structure of a rule in a slice, inside the mask; for `ImageSlice.once`, since trees look at it too."""
    found, inside = _segment(seen.plane, rule, seen.setting.spacing), seen.reference.inside
    # What the mask cuts may fall apart.
    return found if inside is None else Regions.of(found.flags & inside)


def true_structure(reference: Reference, rule: StructureRule) -> Flags:
    """All pixels with a label of the structure, inside the mask; for `Reference.once`, since trees look at it too."""
    return np.isin(reference.labels_inside, rule.labels)


def _opened(flags: Flags, radius: float, spacing: tuple[float, float]) -> Flags:
    """Keep what discs of `radius` mm inside the structure cover; what lies outside the view may belong to it."""
    if radius == 0:
        return flags
    return ~_eroded(~_eroded(flags, radius, spacing), radius, spacing)


def _eroded(flags: Flags, radius: float, spacing: tuple[float, float]) -> Flags:
    """Keep the pixels of which all others within `radius` mm are set too; pixels outside the view are taken as set."""
    height, width = flags.shape
    up, across = (int(radius / edge) + 1 for edge in spacing)
    padded = np.pad(flags, ((up, up), (across, across)), constant_values=True)
    # A disc is a pile of rows; shorter ones are made first, and longer ones out of them.
    rows = [
        np.sqrt((dy * spacing[0]) ** 2 + (np.arange(across + 1) * spacing[1]) ** 2) <= radius for dy in range(up + 1)
    ]
    found = np.ones(flags.shape, bool)
    run, length = padded, 1
    for dy in range(up, -1, -1):
        reach = int(np.count_nonzero(rows[dy])) - 1
        if reach < 0:
            continue
        while length < 2 * reach + 1:
            step = min(length, 2 * reach + 1 - length)
            run = run[:, :-step] & run[:, step:]
            length += step
        inner = run[:, across - reach : across - reach + width]
        found &= inner[up - dy : up - dy + height]
        found &= inner[up + dy : up + dy + height]
    return found


@dataclass(frozen=True)
class Marked:
    """A segmented slice with what comparing needs, computed once.

    Attributes
    ----------
    regions
        The structure.
    edge : (n,)
        Indices of the pixels of the structure that touch what is not it.
    border : (n, 2)
        Their places in mm.
    is_border : bool (y, x)
        The same as flags.
    near : bool (y, x)
        Pixels on or within the tolerance of the structure.
    """

    regions: Regions
    edge: NDArray[np.intp]
    border: NDArray[np.float64]
    is_border: Flags
    near: Flags

    @classmethod
    def of(cls, found: Flags | Regions, spacing: tuple[float, float]) -> Marked:
        """Number the regions, and find borders and surroundings."""
        regions = found if isinstance(found, Regions) else Regions.of(found)
        flags = regions.flags
        inner = flags.copy()
        for one, other in ((inner[1:], flags[:-1]), (inner[:-1], flags[1:])):
            one &= other
        for one, other in ((inner[:, 1:], flags[:, :-1]), (inner[:, :-1], flags[:, 1:])):
            one &= other
        is_border = flags & ~inner
        edge = np.flatnonzero(is_border)
        border = np.stack(np.divmod(edge, flags.shape[1]), axis=1) * np.asarray(spacing)
        return cls(regions, edge, border, is_border, ~_eroded(~flags, TOLERANCE_MM, spacing))

    @cached_property
    def _nearest(self) -> cKDTree:
        return cKDTree(self.border)

    def distances(self, other: Marked) -> NDArray[np.float64]:
        """Distances in mm of this structure's border to that of another, which must have one."""
        found: NDArray[np.float64] = np.zeros(len(self.edge))
        apart = ~other.is_border.ravel()[self.edge]
        found[apart] = other._nearest.query(self.border[apart])[0]
        return found

    def supports(self, other: Marked) -> Flags:
        """Whether enough of each region of `other`, by number, lies on or near this structure."""
        numbers, sizes = other.regions.numbers[self.near.ravel()[other.regions.places]], other.regions.sizes
        found: Flags = np.bincount(numbers, minlength=sizes.size) >= SUPPORT * sizes
        return found


@dataclass
class StructureScore:
    """Sums over slices of how one image's structure agrees with the labels.

    Attributes
    ----------
    rule
        Rule by which the structure is found.
    """

    rule: StructureRule
    both: int = 0
    either: int = 0
    distance: float = 0.0
    border: int = 0
    false: int = 0
    missed: int = 0
    found_by_size: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(SIZE_CLASSES_MM), np.int64))
    there_by_size: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(SIZE_CLASSES_MM), np.int64))

    def add(self, found: Marked, real: Marked, spacing: tuple[float, float]) -> None:
        """Take a slice into account: the structure found in an image, and the labelled one (from `labelled`)."""
        self.both += int(np.count_nonzero(found.regions.flags & real.regions.flags))
        self.either += len(found.regions.places) + len(real.regions.places)
        if len(found.border) and len(real.border):
            self.distance += float(found.distances(real).sum() + real.distances(found).sum())
            self.border += len(found.border) + len(real.border)
        self.false += int((~real.supports(found))[1:].sum())
        diameters = equivalent_diameters(real.regions.sizes, spacing)[1:]
        counted = diameters >= self.rule.counted
        seen, diameters = found.supports(real)[1:][counted], diameters[counted]
        self.missed += int((~seen).sum())
        for index, (low, high) in enumerate(SIZE_CLASSES_MM):
            inside = (diameters >= low) & (diameters < high)
            self.there_by_size[index] += int(inside.sum())
            self.found_by_size[index] += int((inside & seen).sum())

    def dice(self) -> float:
        """Dice coefficient over all slices; NaN where there is neither."""
        return 2 * self.both / self.either if self.either else float("nan")

    def surface_distance(self) -> float:
        """Mean distance of both borders in mm, both ways; NaN where no slice has both."""
        return self.distance / self.border if self.border else float("nan")

    def by_size(self) -> dict[str, tuple[int, int]]:
        """Cross-sections found and labelled by class of equivalent diameter."""
        return {
            size_class(index): (int(self.found_by_size[index]), int(self.there_by_size[index]))
            for index in range(len(SIZE_CLASSES_MM))
        }


def size_class(index: int) -> str:
    """Name of a class of `SIZE_CLASSES_MM`."""
    low, high = SIZE_CLASSES_MM[index]
    if high == float("inf"):
        return f"{low:g} mm and more"
    return f"under {high:g} mm" if low == 0 else f"{low:g}–{high:g} mm"


class StructureOfImage(Accumulator):
    """The structure of one name, looked for in an image by the rule of the labelled anatomy."""

    def __init__(self, name: str, setting: Setting) -> None:
        self._setting = setting
        self._score = StructureScore(next(rule for rule in setting.rules if rule.name == name))

    def add(self, seen: ImageSlice) -> None:
        """Take a slice in HU into account."""
        rule, spacing = self._score.rule, self._setting.spacing
        found = seen.once(segmented, rule)
        self._score.add(Marked.of(found, spacing), seen.reference.once(_marked, rule), spacing)

    def dice(self) -> float:
        """Dice coefficient of found and labelled structure."""
        return self._score.dice()

    def surface_distance(self) -> float:
        """Mean distance of both borders in mm."""
        return self._score.surface_distance()

    def false_per_cm3(self) -> float:
        """Cross-sections invented by cm³ compared."""
        return self._score.false / self._setting.volume_cm3

    def missed_per_cm3(self) -> float:
        """Cross-sections lost by cm³ compared."""
        return self._score.missed / self._setting.volume_cm3

    def by_size(self) -> dict[str, Any]:
        """Return cross-sections found and labelled by class of equivalent diameter, under the structure's name."""
        return {self._score.rule.name: self._score.by_size()}


def _marked(reference: Reference, rule: StructureRule) -> Marked:
    spacing = reference.setting.spacing
    return Marked.of(Regions.of(reference.once(true_structure, rule)).sized(rule.least, spacing), spacing)


def structure_metrics(name: str) -> tuple[Metric, ...]:
    """Metrics of the structure of that name: how much of it is there, how near, what is invented and what lost."""
    key = name.replace(" ", "_")
    metric = partial(
        Metric,
        needs=LABELS,
        has_limit=True,
        where=lambda setting: name in (rule.name for rule in setting.rules),
        accumulator=partial(StructureOfImage, name),
        sizes=SizeTable(
            name,
            "Cross-sections found, of those labelled, by equivalent diameter.",
            cell="{0} of {1}",
            heading="{structure} {size}",
        ),
    )
    return (
        metric(
            key=f"{key}_dice",
            label=f"{name} Dice",
            unit="",
            meaning=f"{name}: 2·|A∩B| / (|A|+|B|) of the structure found by the stated rule and the labels, over all "
            "slices",
            better="more",
            question=STRUCTURES_FOUND,
            read=StructureOfImage.dice,
        ),
        metric(
            key=f"{key}_surface_distance_mm",
            label=f"{name} surface distance (mm)",
            unit="mm",
            meaning=f"{name}: mean in-plane distance between the borders of found and labelled structure, both ways, "
            "over slices that have both",
            better="less",
            question=STRUCTURES_FOUND,
            in_summary=False,
            read=StructureOfImage.surface_distance,
        ),
        metric(
            key=f"false_{key}s_per_cm3",
            label=f"false {name}s (/cm³)",
            unit="/cm³",
            meaning=f"{name}: cross-sections found of which less than {SUPPORT:.0%} lies within {TOLERANCE_MM:g} mm of "
            "a labelled one, by cm³ compared: invented structures",
            better="less",
            question=STRUCTURES_INVENTED,
            read=StructureOfImage.false_per_cm3,
        ),
        metric(
            key=f"missed_{key}s_per_cm3",
            label=f"missed {name}s (/cm³)",
            unit="/cm³",
            meaning=f"{name}: labelled cross-sections of which less than {SUPPORT:.0%} lies within {TOLERANCE_MM:g} mm "
            "of a found one, by cm³ compared: lost structures",
            better="less",
            question=STRUCTURES_LOST,
            read=StructureOfImage.missed_per_cm3,
        ),
    )


_NAMES: Final = tuple(dict.fromkeys(rule.name for anatomy in anatomies() for rule in anatomy.structures))

STRUCTURES: Final = tuple(metric for name in _NAMES for metric in structure_metrics(name))
"""Metrics of every structure of every anatomy."""
