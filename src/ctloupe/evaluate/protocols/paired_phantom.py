"""Protocol ``paired-phantom``: enhanced volumes against the truth of the same anatomy, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.alignment import aligned_scale, with_baseline
from ctloupe.evaluate.comparison import BASELINE, Comparison
from ctloupe.evaluate.metrics.airway_walls import WallProfiles, WallScore, wall_profiles
from ctloupe.evaluate.metrics.consistency import ConsistencySum
from ctloupe.evaluate.metrics.fidelity import SsimReference, counted_similarity
from ctloupe.evaluate.metrics.realism import power_spectrum_distance
from ctloupe.evaluate.metrics.resolution import RingCorrelation, RingCorrelator
from ctloupe.evaluate.metrics.structure import Marked, StructureScore, labelled, segment
from ctloupe.evaluate.metrics.texture import Texture, Unpaired, detailed_slices
from ctloupe.evaluate.protocols.recipes import DATA_RANGE_HU, PAIRED_PHANTOM
from ctloupe.foundation.errors import GeometryError, OptionError
from ctloupe.images.spectrum import radial_power
from ctloupe.phantom.anatomies.base import Anatomy
from ctloupe.phantom.anatomies.registry import of_labels
from ctloupe.phantom.structure_rule import StructureRule
from ctloupe.volume.digest import digest_of
from ctloupe.volume.volume import Volume

Flags = NDArray[np.bool_]
LIMIT: Final = "truth"
"""Name of the row that a stated rule is tried on, to know its limit."""


def compare_with_truth(
    scan: Volume,
    enhanced: dict[str, Volume],
    truth: Volume,
    mask: Flags | None = None,
    labels: Volume | None = None,
    unpaired: Unpaired | None = None,
) -> Comparison:
    """Compare enhanced volumes with the truth and with the scan itself; bicubic is the first row.

    Parameters
    ----------
    scan
        The clinical CT that was enhanced, or the same part of it.
    enhanced
        Volumes on the s-times finer grid of `scan`, by row name.
    truth
        On the same fine grid.
    mask : bool on the grid of `scan`
        Where to compare; None: everywhere.
    labels
        On the fine grid; adds the structure metrics, and the truth's own as limits.
    unpaired
        Look of a µCT; adds realism.

    Raises
    ------
    OptionError
        If nothing is enhanced or the mask is empty.
    GeometryError
        If the grids do not belong together.
    """
    scale = aligned_scale(scan, enhanced, {"truth": truth})
    if labels is not None and labels.shape != truth.shape:
        raise GeometryError(f"`labels` has shape {labels.shape}, the truth {truth.shape}; give labels of the same grid")
    if mask is not None and not mask.any():
        raise OptionError("the mask is empty: there is nothing to compare")
    everything = with_baseline(scan, enhanced, scale)
    plan = _Plan.of(scan, truth, mask, labels, scale)
    scores = {name: _Score(plan, unpaired) for name in everything}
    limit = _Structures(plan) if labels is not None else None
    power = np.zeros(1)
    for z in plan.shown:
        reference = _Slice.of(plan, scan, truth, labels, z)
        if reference.boxed is not None:
            power = power + radial_power(reference.boxed)
        for name, volume in everything.items():
            scores[name].add(np.asarray(volume.data[z], np.float32), reference)
        if limit is not None:
            limit.add(reference.truth, reference)
    return _comparison(plan, scores, limit, power, scan, truth, labels, enhanced)


@dataclass(frozen=True)
class _Plan:
    """What is compared where.

    Attributes
    ----------
    shown
        Slices with something in the mask.
    detailed
        Those that Fourier transforms are taken of.
    box
        Rectangle of the fine grid around the mask.
    anatomy
        What the labels are of; None without labels.
    """

    scale: int
    mask: Flags | None
    shown: NDArray[np.intp]
    detailed: set[int]
    box: tuple[slice, slice]
    spacing: tuple[float, float]
    voxels: int
    volume_cm3: float
    anatomy: Anatomy | None

    @property
    def rules(self) -> tuple[StructureRule, ...]:
        """Rules by which structures are found; none without labels."""
        return () if self.anatomy is None else self.anatomy.structures

    @classmethod
    def of(cls, scan: Volume, truth: Volume, mask: Flags | None, labels: Volume | None, scale: int) -> _Plan:
        where = np.ones(scan.shape, bool) if mask is None else mask
        shown = np.flatnonzero(where.any((1, 2)))
        rows, columns = (np.flatnonzero(where.any((0, axis))) for axis in (2, 1))
        box = slice(rows[0] * scale, (rows[-1] + 1) * scale), slice(columns[0] * scale, (columns[-1] + 1) * scale)
        voxels = int(where.sum()) * scale**2
        anatomy = None
        if labels is not None:
            anatomy = of_labels(np.unique(np.asarray(labels.data[int(shown[len(shown) // 2])])).tolist())
        volume = voxels * float(np.prod(truth.spacing)) / 1000
        spacing = truth.spacing[1], truth.spacing[2]
        return cls(scale, mask, shown, detailed_slices(shown), box, spacing, voxels, volume, anatomy)

    def inside(self, z: int) -> Flags | None:
        """The mask of a slice on the fine grid."""
        return None if self.mask is None else self.mask[z].repeat(self.scale, 0).repeat(self.scale, 1)


@dataclass(frozen=True)
class _Slice:
    """One slice of scan, truth and labels, with all that does not depend on the image compared."""

    z: int
    inside: Flags | None
    scan: NDArray[np.float32]
    truth: NDArray[np.float32]
    boxed: NDArray[np.float32] | None
    similarity: SsimReference
    real: tuple[Marked, ...]
    walls: WallProfiles | None

    @classmethod
    def of(cls, plan: _Plan, scan: Volume, truth: Volume, labels: Volume | None, z: int) -> _Slice:
        inside = plan.inside(z)
        plane = np.asarray(truth.data[z], np.float32)
        real: tuple[Marked, ...] = ()
        walls = None
        if labels is not None:
            marked = np.asarray(labels.data[z])
            if inside is not None:
                marked = np.where(inside, marked, 0)
            real = tuple(Marked.of(labelled(marked, rule, plan.spacing), plan.spacing) for rule in plan.rules)
            numbers = plan.anatomy.walls if plan.anatomy is not None else None
            walls = wall_profiles(marked, plan.spacing, numbers) if numbers is not None else None
        similarity = SsimReference(plane, data_range=DATA_RANGE_HU)
        boxed = _boxed(plane, inside, plan.box) if int(z) in plan.detailed else None
        return cls(int(z), inside, np.asarray(scan.data[z], np.float32), plane, boxed, similarity, real, walls)


def _boxed(plane: NDArray[np.float32], inside: Flags | None, box: tuple[slice, slice]) -> NDArray[np.float32]:
    """The rectangle around the mask; what is outside the mask counts as its mean."""
    part = plane[box]
    if inside is None:
        return part
    return np.where(inside[box], part, part[inside[box]].mean(dtype=np.float64)).astype(np.float32)


class _Structures:
    """Structure and wall scores of one image."""

    def __init__(self, plan: _Plan) -> None:
        self._plan = plan
        self.scores = [StructureScore(rule) for rule in plan.rules]
        self.walls = WallScore() if plan.anatomy is not None and plan.anatomy.walls is not None else None

    def add(self, plane: NDArray[np.float32], reference: _Slice) -> None:
        spacing = self._plan.spacing
        for score, real in zip(self.scores, reference.real, strict=True):
            found = segment(plane, score.rule, spacing)
            found = found if reference.inside is None else found & reference.inside
            score.add(Marked.of(found, spacing), real, spacing)
        if self.walls is not None and reference.walls is not None:
            self.walls.add(plane, reference.walls)

    def numbers(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for score in self.scores:
            found |= score.numbers(self._plan.volume_cm3)
        return found | (self.walls.numbers() if self.walls is not None else {})

    def by_size(self) -> dict[str, Any]:
        found: dict[str, Any] = {score.rule.name: score.by_size() for score in self.scores}
        return found | ({"wall": self.walls.by_size()} if self.walls is not None else {})


@dataclass
class _Score:
    """Everything that is summed up of one image."""

    plan: _Plan
    unpaired: Unpaired | None
    squares: float = 0.0
    absolute: float = 0.0
    similarity: float = 0.0
    counted: int = 0
    slices: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows, columns = self.plan.box
        self._ring = RingCorrelator((rows.stop - rows.start, columns.stop - columns.start), self.plan.spacing)
        self.power: NDArray[np.float64] = np.zeros(1)
        self._structures = _Structures(self.plan) if self.plan.rules else None
        self._texture = Texture() if self.unpaired is not None else None
        self._consistency = ConsistencySum(self.plan.scale)

    def add(self, plane: NDArray[np.float32], reference: _Slice) -> None:
        """Take one slice of the image, in HU, into account."""
        self._add_fidelity(plane, reference)
        mask = self.plan.mask
        self._consistency.add(plane, reference.scan, None if mask is None else mask[reference.z])
        if reference.boxed is not None:
            ours = _boxed(plane, reference.inside, self.plan.box)
            self._ring.add(ours, reference.boxed)
            self.power = self.power + radial_power(ours)
        if self._structures is not None:
            self._structures.add(plane, reference)
        if self._texture is not None and self.unpaired is not None:
            unit = self.unpaired.clinical_window.to_unit(plane)
            self._texture.add(unit, reference.inside, reference.boxed is not None)

    def _add_fidelity(self, plane: NDArray[np.float32], reference: _Slice) -> None:
        off = plane - reference.truth
        off = off if reference.inside is None else off[reference.inside]
        similarity = counted_similarity(reference.similarity.map(plane), reference.inside)
        squares = float(np.square(off).sum(dtype=np.float64))
        absolute = float(np.abs(off).sum(dtype=np.float64))
        self.squares += squares
        self.absolute += absolute
        self.similarity += float(similarity.sum(dtype=np.float64))
        self.counted += similarity.size
        self.slices.append(
            {
                "slice": reference.z,
                "PSNR (dB)": _decibels(squares / off.size),
                "SSIM": float(similarity.mean(dtype=np.float64)) if similarity.size else float("nan"),
                "MAE (HU)": absolute / off.size,
            }
        )

    def ring(self) -> RingCorrelation:
        """Fourier ring correlation with the truth."""
        return self._ring.result()

    def numbers(self, truth_power: NDArray[np.float64]) -> dict[str, float]:
        """Every metric of the image."""
        ring = self.ring()
        kept = self._consistency.result()
        found = {
            "PSNR (dB)": _decibels(self.squares / self.plan.voxels),
            "SSIM": self.similarity / self.counted if self.counted else float("nan"),
            "MAE (HU)": self.absolute / self.plan.voxels,
            "resolution (mm)": ring.crossing(),
            "half-bit resolution (mm)": ring.crossing("half-bit"),
            "spectrum distance (dB)": power_spectrum_distance(self.power, truth_power),
            "consistency RMS (HU)": kept.rms_hu,
            "consistency bias (HU)": kept.bias_hu,
        }
        if self._structures is not None:
            found |= self._structures.numbers()
        if self._texture is not None and self.unpaired is not None:
            found |= self._texture.distances(self.unpaired.texture)
        return found

    def by_size(self) -> dict[str, Any]:
        """Structure by size class; empty without labels."""
        return self._structures.by_size() if self._structures is not None else {}


def _decibels(mean_square: float) -> float:
    return float("inf") if mean_square == 0 else 10 * float(np.log10(DATA_RANGE_HU**2 / mean_square))


def _comparison(
    plan: _Plan,
    scores: dict[str, _Score],
    limit: _Structures | None,
    power: NDArray[np.float64],
    scan: Volume,
    truth: Volume,
    labels: Volume | None,
    enhanced: dict[str, Volume],
) -> Comparison:
    facts: dict[str, Any] = {
        "scale": plan.scale,
        "slices": scan.shape[0],
        "voxels_compared": plan.voxels,
        "clinical_spacing_mm": list(scan.spacing),
        "slice by slice": {name: score.slices for name, score in scores.items()},
    }
    if limit is not None:
        facts["rules"] = [rule.in_words() for rule in plan.rules]
        facts["by size"] = {name: score.by_size() for name, score in scores.items()} | {LIMIT: limit.by_size()}
    rings = {name: score.ring() for name, score in scores.items()}
    powers = {name: score.power for name, score in scores.items()} | {LIMIT: power}
    frequency = (np.arange(len(power)) + 0.5) / len(power) * 0.5 / max(plan.spacing)
    curves = {
        "ring correlation": {name: _line(ring.frequency, ring.correlation) for name, ring in rings.items()},
        "power": {name: _line(frequency, power) for name, power in powers.items()},
    }
    data = {"scan": digest_of(scan), "truth": digest_of(truth)}
    if labels is not None:
        data["labels"] = digest_of(labels)
    rows = {name: score.numbers(power) for name, score in scores.items()}
    for row in rows.values():
        row["resolution gain"] = rows[BASELINE]["resolution (mm)"] / row["resolution (mm)"]
    return PAIRED_PHANTOM.comparison(
        rows,
        facts=facts,
        limits=limit.numbers() if limit is not None else {},
        data=data,
        models={name: {"history": list(volume.history)} for name, volume in enhanced.items()},
        curves=curves,
    )


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, list[float]]:
    return {"x": [float(f"{value:.5g}") for value in x], "y": [float(f"{value:.5g}") for value in y]}
