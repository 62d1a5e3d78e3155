"""Inner ear in its bone on a fine isotropic grid: cochlea, vestibule, semicircular canals, nerve, air cells.

Shapes and sizes are those of an adult ear, turned and scaled at random: the cochlear spiral of Cohen et al. 1996
(radius ``3.762·exp(−0.001317 θ)`` mm, θ in degrees from the round window), 2.6 turns that rise 2.7 mm, a bony lamina
from the modiolus half-way across the canal, three canals of 3.2 mm radius, the internal auditory canal below the
modiolus, and outside the dense capsule spongy bone with marrow on one side and air cells on the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomies.base import Anatomy, AnatomyOptions, GroundTruth, Shape
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.foam import alveolar_foam
from ctloupe.phantom.micro import AIR_HU, MicroContrast
from ctloupe.phantom.structure_rule import StructureRule
from ctloupe.phantom.tubes import Tube, draw, point

FLUID_HU: Final = 15.0
NERVE_HU: Final = 40.0
MARROW_HU: Final = 60.0
SPONGY_HU: Final = 1300.0
CAPSULE_HU: Final = 2100.0
TURNS: Final = 2.6
RISE_MM: Final = 2.7
CAPSULE_MM: Final = 1.3
"""Thickness of the dense bone around the fluid."""

_PORES_MM: Final = 0.05
"""Scale of the field whose level lines are the vessels of the bone."""


class TemporalBoneLabel(IntEnum):
    """Value of each voxel of a label volume: what fills most of it."""

    OUTSIDE = 0
    CAPSULE = 11
    FLUID = 12
    AIR = 13
    NERVE = 14
    SPONGY = 15
    MARROW = 16


@dataclass(frozen=True)
class TemporalBone:
    """A block of temporal bone around the cochlea.

    Attributes
    ----------
    hu : int16 array of shape (z, y, x)
        Hounsfield units from −1000 (air) to 2100 (dense bone).
    labels : uint8 array of shape (z, y, x)
        Values of `TemporalBoneLabel`.
    spacing
        Edge of the isotropic voxels in mm.
    spiral : (n, 3) in mm
        Points along the middle of the cochlear canal, (z, y, x) from the centre of voxel [0, 0, 0].
    radii : (n,) in mm
        Radius of the canal at these points.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    spacing: float
    spiral: NDArray[np.float64]
    radii: NDArray[np.float64]


def temporal_bone(shape: Shape, seed: int, spacing: float = 0.018) -> TemporalBone:
    """Make a block of temporal bone with the cochlea in its middle.

    Parameters
    ----------
    shape : (z, y, x)
        Number of voxels, at least 8 on each axis; what lies off the grid is cut off.
    seed
        Decides everything random.
    spacing
        Edge of the isotropic voxels in mm, 0.01 to 0.1.

    Raises
    ------
    OptionError
        If an option is outside its range.
    """
    if len(shape) != 3 or min(shape) < 8:
        raise OptionError(f"phantom size is {tuple(shape)}; expected (z, y, x) with at least 8 voxels on each axis")
    if not 0.01 <= spacing <= 0.1:
        raise OptionError(f"phantom option spacing is {spacing:g}; choose a value from 0.01 to 0.1")
    streams = iter(np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(4))
    placed = _Placed.at_random(np.array(shape) * spacing, next(streams))
    spiral, radii = _spiral(placed)
    tubes = [*_chain(spiral, radii), *_vestibule_and_canals(placed)]
    canal = _nerve(placed)
    fluid = draw(tubes, shape, spacing)
    lamina = draw(list(_lamina(placed, spiral, radii)), shape, spacing)
    nerve = draw(canal, shape, spacing)
    # Dense bone is what lies near the fluid or the nerve; tubes grown by its thickness bound it.
    capsule = draw([_grown(one, CAPSULE_MM) for one in (*tubes, *canal)], shape, spacing)
    hu, labels = _surroundings(shape, spacing, placed, next(streams))
    labels[capsule >= 0.5] = TemporalBoneLabel.CAPSULE
    hu += capsule * (CAPSULE_HU - hu)
    hu -= _pores(shape, spacing, next(streams)) * capsule * (CAPSULE_HU - MARROW_HU)
    for share, value, label in ((nerve, NERVE_HU, TemporalBoneLabel.NERVE), (fluid, FLUID_HU, TemporalBoneLabel.FLUID)):
        hu += share * (value - hu)
        labels[share >= 0.5] = label
    lamina *= fluid
    hu += lamina * (0.8 * CAPSULE_HU - hu)
    labels[lamina >= 0.5] = TemporalBoneLabel.CAPSULE
    return TemporalBone(np.rint(hu).astype(np.int16), labels, spacing, spiral, radii)


def bone_statistics(anatomy: TemporalBone) -> dict[str, Any]:
    """What a reader can check against the literature, measured from the arrays.

    Returns
    -------
    dict
        ``capsule_mean_hu``; ``cochlear_length_mm`` along the middle of the canal; ``cochlear_width_mm`` across the
        first turn, canal included; ``label_share`` of each label.
    """
    counts = np.bincount(anatomy.labels.reshape(-1), minlength=max(TemporalBoneLabel) + 1) / anatomy.labels.size
    capsule = anatomy.hu[anatomy.labels == TemporalBoneLabel.CAPSULE]
    away = np.linalg.norm(anatomy.spiral - anatomy.spiral[0], axis=1) + anatomy.radii + anatomy.radii[0]
    return {
        "capsule_mean_hu": float(capsule.mean()) if capsule.size else None,
        "cochlear_length_mm": float(np.linalg.norm(np.diff(anatomy.spiral, axis=0), axis=1).sum()),
        "cochlear_width_mm": float(away.max()),
        "label_share": {label.name.lower(): float(counts[label]) for label in TemporalBoneLabel},
    }


@dataclass(frozen=True)
class _Placed:
    """Map from the ear's own frame, with the modiolus along its first axis, to the grid."""

    rotation: NDArray[np.float64]
    size: float
    centre: NDArray[np.float64]

    @classmethod
    def at_random(cls, extent: NDArray[np.float64], rng: np.random.Generator) -> _Placed:
        tilt = Rotation.from_rotvec(rng.normal(0, 0.6, 3)) * Rotation.from_rotvec([rng.uniform(0, 2 * np.pi), 0, 0])
        return cls(tilt.as_matrix(), float(rng.uniform(0.92, 1.08)), extent / 2 + rng.uniform(-0.05, 0.05, 3) * extent)

    def __call__(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(points) * self.size @ self.rotation.T + self.centre


def _chain(points: NDArray[np.float64], radii: NDArray[np.float64]) -> list[Tube]:
    ends = [point(one) for one in points]
    return [
        Tube(start, end, float(first), float(last))
        for (start, end), (first, last) in zip(pairwise(ends), pairwise(radii), strict=True)
    ]


def _grown(one: Tube, by: float) -> Tube:
    return Tube(one.start, one.end, one.radius_start + by, one.radius_end + by)


def _spiral(placed: _Placed) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    theta = np.linspace(0, 360 * TURNS, 181)
    radius = 3.762 * np.exp(-0.001317 * theta)
    turn = np.deg2rad(theta)
    height = RISE_MM * (theta / theta[-1]) - RISE_MM / 2
    points = np.stack([height, radius * np.sin(turn), radius * np.cos(turn)], axis=1)
    return placed(points), placed.size * np.linspace(0.62, 0.32, theta.size)


def _lamina(placed: _Placed, spiral: NDArray[np.float64], radii: NDArray[np.float64]) -> Iterator[Tube]:
    """Thin plate of bone from the inner wall to the middle of the canal, as a fan of rods."""
    axis = placed.rotation[:, 0]
    inwards = placed.centre - spiral
    inwards -= np.outer(inwards @ axis, axis)
    inwards /= np.linalg.norm(inwards, axis=1, keepdims=True)
    fine = np.linspace(0, len(spiral) - 1, 12 * len(spiral))
    steps = np.arange(len(spiral))
    middle, inward = (
        np.stack([np.interp(fine, steps, values[:, axis]) for axis in range(3)], axis=1) for values in (spiral, inwards)
    )
    reach = np.interp(fine, steps, radii)
    for canal, way, length in zip(middle, inward, reach, strict=True):
        start, end = canal + way * length, canal + way * 0.1 * length
        yield Tube(point(start), point(end), 0.045, 0.03)


def _vestibule_and_canals(placed: _Placed) -> list[Tube]:
    """An oval chamber at the base of the spiral, and three arcs at right angles that begin and end in it."""
    chamber = np.array([[-0.6, -1.0, 5.2], [-1.2, 0.8, 6.6]])
    found = _chain(placed(chamber), placed.size * np.array([1.35, 1.25]))
    middle = chamber.mean(0)
    for across, up in (((1, 0, 0), (0, 0, 1)), ((0, 1, 0), (0, 0, 1)), ((1, 0, 0), (0, 1, 0))):
        turn = np.linspace(-0.6 * np.pi, 0.6 * np.pi, 40)[:, None]
        arc = middle + 3.0 * (np.array(up) * (np.cos(turn) + 0.3) + np.array(across) * np.sin(turn))
        found += _chain(placed(arc), np.full(len(arc), 0.42 * placed.size))
    return found


def _nerve(placed: _Placed) -> list[Tube]:
    """Internal auditory canal, and the nerve that goes on into the modiolus."""
    points = np.array([[-9.0, 1.5, -1.5], [-2.4, 0.2, 0.0], [-1.2, 0.0, 0.0], [0.9, 0.0, 0.0]])
    return _chain(placed(points), placed.size * np.array([2.4, 1.6, 0.75, 0.3]))


def _surroundings(
    shape: Shape, spacing: float, placed: _Placed, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Spongy bone with marrow, or with air on the mastoid side, and the air of the middle ear."""
    edge = max(4, round(0.7 / spacing))
    walls = alveolar_foam(shape, edge, np.full((1, 1, 1), 0.3 * edge, np.float32), rng)
    labels = np.full(shape, TemporalBoneLabel.MARROW, dtype=np.uint8)
    nodes = [max(2, round(length * spacing / 2.0)) + 8 for length in shape]
    wave = gaussian_filter(rng.normal(size=nodes), 1.5)
    bend = (wave / wave.std())[4:-4, 4:-4, 4:-4]
    side = placed.rotation[:, 1]
    z, y, x = (np.arange(length, dtype=np.float32) * np.float32(spacing) for length in shape)
    hu = np.empty(shape, np.float32)
    for at in range(shape[0]):
        plane = (
            (z[at] - placed.centre[0]) * side[0]
            + ((y - placed.centre[1]) * side[1])[:, None]
            + ((x - placed.centre[2]) * side[2])[None]
        )
        plane = plane / placed.size + 0.5 * _enlarged(bend, at / shape[0], shape[1:])
        aired, cavity = plane > 2.6, np.clip((plane - 4.4) / spacing + 0.5, 0, 1)
        filling = np.where(aired, AIR_HU, MARROW_HU)
        hu[at] = filling + walls[at] * (SPONGY_HU - filling)
        hu[at] += cavity * (AIR_HU - hu[at])
        labels[at][aired] = TemporalBoneLabel.AIR
        labels[at][walls[at] >= 0.5] = TemporalBoneLabel.SPONGY
        labels[at][cavity >= 0.5] = TemporalBoneLabel.AIR
    return hu, labels


def _enlarged(field: NDArray[np.float64], share: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Bilinear enlargement of the plane of a coarse field at `share` of its depth."""
    at = share * (field.shape[0] - 1)
    low = int(at)
    plane = field[low] * (1 - at + low) + field[min(low + 1, field.shape[0] - 1)] * (at - low)
    rows = np.linspace(0, plane.shape[0] - 1, shape[0])
    columns = np.linspace(0, plane.shape[1] - 1, shape[1])
    tall = np.stack([np.interp(rows, np.arange(plane.shape[0]), one) for one in plane.T], axis=1)
    return np.stack([np.interp(columns, np.arange(plane.shape[1]), one) for one in tall])


def _pores(shape: Shape, spacing: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Share of vessel canals in dense bone: where two smooth random fields are both near zero, which makes tubes."""
    sigma = 3 * _PORES_MM / spacing
    near = np.zeros(shape, np.float32)
    for _ in range(2):
        # Drawn coarser and enlarged: the field has no detail finer than its sigma.
        step = max(1, int(sigma / 2))
        coarse = [-(-length // step) + 8 for length in shape]
        field = gaussian_filter(rng.standard_normal(coarse, dtype=np.float32), sigma / step)[4:-4, 4:-4, 4:-4]
        field /= field.std()
        for axis in range(3):
            length = shape[axis]
            at = np.linspace(0, field.shape[axis] - 1, length)
            low = np.minimum(at.astype(int), field.shape[axis] - 2) if field.shape[axis] > 1 else np.zeros(length, int)
            part = (at - low).reshape([-1 if one == axis else 1 for one in range(3)]).astype(np.float32)
            above = np.take(field, np.minimum(low + 1, field.shape[axis] - 1), axis=axis)
            field = np.take(field, low, axis=axis) * (1 - part) + above * part
        near += field**2
    return np.clip(1.5 - near / 0.02, 0, 1).astype(np.float32)


def _build(shape: Shape, seed: int, spacing: float, options: AnatomyOptions) -> GroundTruth:
    made = temporal_bone(shape, seed, spacing)
    return GroundTruth(made.hu, made.labels, bone_statistics(made))


TEMPORAL_BONE: Final = Anatomy(
    name="temporal-bone",
    caption="temporal bone",
    labels=TemporalBoneLabel,
    build=_build,
    display=(-1000.0, 2400.0),
    # −1000 … 2400 HU to 2500 … 15000 raw units: the gain of soft tissue would leave 16 bits.
    micro=MicroContrast(gain=12500 / 3400),
    structures=(
        # Half-way between air and fluid, and between fluid and dense bone; nerve and marrow are as dense as fluid.
        StructureRule(
            "soft space",
            (TemporalBoneLabel.FLUID, TemporalBoneLabel.NERVE, TemporalBoneLabel.MARROW),
            between=(-490.0, 1060.0),
            smoothing=0.02,
            opening=0.0,
            least=0.3,
            counted=0.4,
        ),
    ),
    # Voxels of ISBI 2021: µCT of 0.018 mm, and 0.144 mm for the paper's cone-beam CT of 0.15 mm.
    usual=PhantomConfig(spacing=0.018, noise_hu=60.0),
)
