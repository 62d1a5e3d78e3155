"""A µCT of a fixed specimen, in raw units.

The specimen has contrast of its own; the scanner adds a small blur, white noise, mild rings and cupping, and on
request a plastic cylinder with air around the specimen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ctloupe.volume.volume import Volume

AIR_HU: Final = -1000.0
MICRO_AIR: Final = 2500.0
MICRO_PLASTIC: Final = 6000.0
_BLUR_VOXELS: Final = 0.5
_CUPPING: Final = 0.03


@dataclass(frozen=True)
class MicroContrast:
    """Contrast of a fixed specimen in the µCT.

    Attributes
    ----------
    gain
        Raw units a HU above air.
    stained
        Factor on the raw value of each label whose tissue is denser in the fixed specimen than its HU say.
    """

    gain: float
    stained: Mapping[int, float] = field(default_factory=dict)


def micro_scan(
    truth: Volume,
    labels: NDArray[np.uint8],
    contrast: MicroContrast,
    *,
    noise: float = 350.0,
    rings: float = 80.0,
    cylinder: bool = False,
    seed: int = 0,
) -> Volume:
    """Scan a fine volume as a fixed specimen in a µCT.

    Parameters
    ----------
    truth
        The anatomy in HU.
    labels : uint8 array of the shape of `truth`
        Label number of every voxel.
    contrast
        Contrast of this anatomy.
    noise
        Standard deviation of the white noise in raw units.
    rings
        Standard deviation of the offset of a miscalibrated detector element in raw units.
    cylinder
        Whether the specimen is cut round and put into a plastic cylinder with air around.
    seed
        Seed of noise, rings and the outline of the specimen.

    Returns
    -------
    Volume
        int16 raw units on the same grid; air is at 2500.
    """
    random = np.random.default_rng((seed, 2))
    height, width = truth.shape[1:]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    radius, angle = np.hypot(y, x).astype(np.float32), np.arctan2(y, x)
    shade = (1 - _CUPPING * np.clip(1 - radius**2, 0, 1)).astype(np.float32)
    ring = _rings(radius, rings, random)
    outline = _outline(angle, random) if cylinder else None
    result = np.empty(truth.shape, np.int16)
    gain = np.float32(contrast.gain)
    for z in range(truth.shape[0]):
        plane = (np.asarray(truth.data[z], dtype=np.float32) - np.float32(AIR_HU)) * gain + np.float32(MICRO_AIR)
        for label, factor in contrast.stained.items():
            plane[labels[z] == label] *= np.float32(factor)
        if outline is not None:
            plane = np.where(radius < outline, plane, np.float32(MICRO_AIR))
            plane[(radius > 0.90) & (radius < 0.95)] = MICRO_PLASTIC
        plane = gaussian_filter(plane, _BLUR_VOXELS) * shade + ring
        plane += random.standard_normal(plane.shape, dtype=np.float32) * np.float32(noise)
        result[z] = np.rint(plane).clip(0, 32767)
    done = f"simulated µCT: noise {noise:g}, rings {rings:g}, {'in a cylinder, ' if cylinder else ''}seed {seed}"
    return truth.with_data(result, done, modality="micro", units="raw")


def _rings(radius: NDArray[np.float32], deviation: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Concentric offsets of a few miscalibrated detector elements, the same in every slice."""
    elements = max(radius.shape) // 2
    offsets = random.normal(0, deviation, elements + 1) * (random.random(elements + 1) < 0.15)
    index = np.minimum((radius * elements / np.sqrt(2)).astype(np.intp), elements)
    return offsets[index].astype(np.float32)


def _outline(angle: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float32]:
    """Radius of an irregular round specimen, as a share of half the field of view."""
    waves = sum(
        random.normal(0, 0.03 / order) * np.cos(order * angle + random.uniform(0, 2 * np.pi)) for order in range(2, 7)
    )
    return (0.75 + np.asarray(waves)).astype(np.float32)
