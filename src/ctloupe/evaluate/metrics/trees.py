"""Vessels and airways as trees: how much of the true centreline is found, what branches are false, where it breaks.

Each slice is segmented by the rule of the cross-sections (`structure.segment`); slices are joined by their shapes on a
grid of cubes, and what is found there is thinned to a centreline, which counts where the structure is as wide as the
rule's least size. The centreline of the labels, made in the same way, is the true one. Both are compared as by Shit et
al. 2021 (clDice, arXiv:2003.07311), in mm and with a tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctloupe.evaluate.centrelines import Centreline, Points, count_breaks
from ctloupe.evaluate.cubes import Block, Cubes, squared_distances
from ctloupe.evaluate.metrics.base import LABELS, Accumulator, Metric
from ctloupe.evaluate.metrics.questions import STRUCTURES_FOUND, STRUCTURES_INVENTED, STRUCTURES_LOST
from ctloupe.evaluate.metrics.structure import TOLERANCE_MM, segmented, true_structure
from ctloupe.phantom.anatomies.registry import anatomies
from ctloupe.phantom.structure_rule import StructureRule

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Reference, Setting

Flags = NDArray[np.bool_]

SLICES_ACROSS: Final = 2
"""Slices that the thinnest counted tube has to hold: its cross-sections in neighbouring slices then overlap by half or
more at whatever angle it crosses them, so that a whole tube is never seen as broken."""

LEAST_SLICES: Final = 8
"""Slices below which a block shows cross-sections rather than trees."""

FINE_MM: Final = TOLERANCE_MM / 3**0.5
"""Longest edge of the cubes where pixels allow it: neighbours by a corner then lie within the tolerance."""


def why_no_tree(setting: Setting, rule: StructureRule) -> str | None:
    """Say why a structure is not measured as a tree; None where it is one and slices show it."""
    limit = rule.counted / SLICES_ACROSS
    if not rule.tree:
        return f"a {rule.name} is no tree"
    # A slice that was rounded when it was saved is not too thick for it.
    if not setting.slice_spacing <= 1.001 * limit:
        return (
            f"slices are {setting.slice_spacing:.4g} mm apart, and {limit:g} mm is the most that shows a tube of "
            f"{rule.counted:g} mm whole"
        )
    if len(setting.shown) < LEAST_SLICES:
        return f"{len(setting.shown)} slices are too few; {LEAST_SLICES} are the least"
    if not np.isclose(*setting.spacing, rtol=0.01):
        return "pixels are not square"
    return None


def _cubes(setting: Setting, rule: StructureRule) -> Cubes:
    return Cubes(setting, FINE_MM, rule.counted / 2)


def trees_in_words(setting: Setting) -> dict[str, str]:
    """What was measured as a tree, and on what grid, or why not: a sentence by name of each structure that is one."""
    found = {}
    for rule in setting.rules:
        if rule.tree:
            why = why_no_tree(setting, rule)
            found[rule.name] = (
                f"the {rule.name} tree was measured on cubes of {_cubes(setting, rule).edge:.4g} mm, from "
                f"{rule.counted:g} mm of width on, with a tolerance of {TOLERANCE_MM:g} mm"
                if why is None
                else f"the {rule.name} tree was left out: {why}"
            )
    return found


@dataclass(frozen=True)
class TrueBlock:
    """What is true in a block.

    Attributes
    ----------
    block
        Where.
    line
        Centreline of the labels where they are wide enough to count.
    near : bool (z, y, x), packed
        What lies within the tolerance of a labelled cube, however narrow the structure is.
    """

    block: Block
    line: Centreline
    near: NDArray[np.uint8]

    @classmethod
    def of(cls, block: Block, real: Flags, edge: float, rule: StructureRule) -> TrueBlock:
        """Find the centreline of labelled cubes of `edge` mm."""
        line = Centreline.of(real, edge, rule.counted)
        steps = int(TOLERANCE_MM / edge) + 1
        near = edge * np.sqrt(np.arange((steps + 1) ** 2 + 1)) <= TOLERANCE_MM
        return cls(block, line, np.packbits(near[squared_distances(~real, steps)]))

    def is_true(self, cubes: Points) -> Flags:
        """Whether cubes lie on or near the labelled structure."""
        shape = tuple(one.stop - one.start for one in self.block.outer)
        near: Flags = np.unpackbits(self.near, count=int(np.prod(shape))).reshape(shape)[tuple(cubes.T)].astype(bool)
        return near


class TrueTree:
    """The labelled tree, gathered once for all images.

    Parameters
    ----------
    reference
        The first slice.
    rule
        What structure it is.
    """

    def __init__(self, reference: Reference, rule: StructureRule) -> None:
        self._rule = rule
        self._cubes = _cubes(reference.setting, rule)
        self._found: list[TrueBlock] = []
        self._lock = Lock()

    def add(self, reference: Reference) -> None:
        """Take a slice into account, unless another image has brought it."""
        with self._lock:
            if reference.z not in self._cubes:
                self._cubes.add(reference.z, reference.once(true_structure, self._rule))
                self._found = []

    def blocks(self) -> list[TrueBlock]:
        """What is true, block by block."""
        with self._lock:
            if not self._found:
                edge, rule = self._cubes.edge, self._rule
                self._found = [TrueBlock.of(one, self._cubes.whole(one), edge, rule) for one in self._cubes.blocks()]
            return self._found


@dataclass
class TreeScore:
    """Sums over blocks of how a found tree agrees with the true one.

    Attributes
    ----------
    true, found, false
        Length in mm of the true centreline, of what is found of it, and of false branches.
    breaks
        Gaps between found parts of the true centreline.
    """

    true: float = 0.0
    found: float = 0.0
    false: float = 0.0
    breaks: int = 0

    def add(self, true: TrueBlock, found: Centreline, edge: float) -> None:
        """Take a block into account: the centreline found there, of cubes of `edge` mm, and the true one."""
        real, line, block = true.is_true(found.cubes), true.line, true.block
        self.false += float(found.lengths[~real & block.counts(found.cubes)].sum())
        counted = block.counts(line.cubes)
        covered = followed(line, found.points[real], edge / 2)
        self.true += float(line.lengths[counted].sum())
        self.found += float(line.lengths[counted & covered].sum())
        self.breaks += count_breaks(line.points, covered, counted)


def followed(line: Centreline, points: Points, step: float) -> Flags:
    """Which points of a true centreline a found one runs along.

    Every found point is put onto the nearest point of the line, where that is no further away than half the true width
    and the tolerance; a point of the line counts where one was put within the tolerance of it.
    """
    if not len(line.points) or not len(points):
        return np.zeros(len(line.points), bool)
    away, nearest = cKDTree(line.points).query(points)
    hit = np.unique(nearest[step * away <= line.widths[nearest] / 2 + TOLERANCE_MM])
    if not len(hit):
        return np.zeros(len(line.points), bool)
    reach = max(TOLERANCE_MM, 3**0.5 * step)
    along: Flags = step * cKDTree(line.points[hit]).query(line.points)[0] <= reach * 1.001
    return along


class TreeOfImage(Accumulator):
    """The tree of one structure, looked for in an image by the rule of the labelled anatomy."""

    def __init__(self, name: str, setting: Setting) -> None:
        self._setting = setting
        self._rule = next(rule for rule in setting.rules if rule.name == name)
        self._cubes = _cubes(setting, self._rule)
        self._true: TrueTree | None = None
        self._score: TreeScore | None = None

    def add(self, seen: ImageSlice) -> None:
        """Take a slice in HU into account."""
        reference = seen.reference
        if self._true is None:
            self._true = reference.once(TrueTree, self._rule)
        self._true.add(reference)
        self._cubes.add(reference.z, seen.once(segmented, self._rule).flags)
        self._score = None

    def score(self) -> TreeScore:
        """Compare what was gathered with the true tree."""
        if self._score is None:
            self._score = TreeScore()
            for true in [] if self._true is None else self._true.blocks():
                # Alveoli that have run together make large cross-sections and no wide tube.
                found = Centreline.of(self._cubes.whole(true.block), self._cubes.edge, self._rule.least)
                self._score.add(true, found, self._cubes.edge)
        return self._score

    def found_percent(self) -> float:
        """Share of the true centreline that is found, in percent; NaN without one."""
        score = self.score()
        return 100 * score.found / score.true if score.true else float("nan")

    def false_per_cm3(self) -> float:
        """Length of false branches in mm by cm³ compared."""
        return self.score().false / self._setting.volume_cm3

    def breaks_per_cm(self) -> float:
        """Breaks by cm of true centreline; NaN without one."""
        score = self.score()
        return 10 * score.breaks / score.true if score.true else float("nan")


def tree_metrics(name: str) -> tuple[Metric, ...]:
    """Metrics of the tree of the structure of that name: how much is found, what is false, and where it breaks."""
    key = name.replace(" ", "_")
    metric: Any = partial(
        Metric,
        needs=LABELS,
        has_limit=True,
        where=partial(_is_shown, name),
        accumulator=partial(TreeOfImage, name),
    )
    return (
        metric(
            key=f"{key}_tree_found_percent",
            label=f"{name} tree found (%)",
            unit="%",
            meaning=f"{name}: length of the true centreline in three dimensions that the centreline found by the "
            f"stated rule runs along, within the true width and {TOLERANCE_MM:g} mm, of all that is wide enough to "
            "count",
            better="more",
            question=STRUCTURES_FOUND,
            read=TreeOfImage.found_percent,
        ),
        metric(
            key=f"false_{key}_branches_mm_per_cm3",
            label=f"false {name} branches (mm/cm³)",
            unit="mm/cm³",
            meaning=f"{name}: length of found centreline in three dimensions that lies further than "
            f"{TOLERANCE_MM:g} mm from every labelled one, by cm³ compared: invented branches",
            better="less",
            question=STRUCTURES_INVENTED,
            read=TreeOfImage.false_per_cm3,
        ),
        metric(
            key=f"{key}_breaks_per_cm",
            label=f"{name} breaks (/cm)",
            unit="/cm",
            meaning=f"{name}: gaps of the found centreline between found parts of one true branch, by cm of true "
            "centreline; the end that a branch has lost is no gap",
            better="less",
            question=STRUCTURES_LOST,
            read=TreeOfImage.breaks_per_cm,
        ),
    )


def _is_shown(name: str, setting: Setting) -> bool:
    return any(rule.name == name and why_no_tree(setting, rule) is None for rule in setting.rules)


_NAMES: Final = dict.fromkeys(rule.name for anatomy in anatomies() for rule in anatomy.structures if rule.tree)

TREES: Final = tuple(metric for name in _NAMES for metric in tree_metrics(name))
"""Metrics of every structure of every anatomy that is a tree."""
