"""The body around a scanned block, as far as it takes photons away: ellipses, in mm about the middle of the block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

WATER: Final = 0.02
"""Attenuation of water for the mean photon of a clinical scan, per mm."""


@dataclass(frozen=True)
class Ellipse:
    """A part of a body, with its axes along x and y.

    Attributes
    ----------
    middle : (y, x) in mm
        Distance of its middle from the middle of the scanned block.
    half : (y, x) in mm
        Half its axes.
    hu
        What it adds to the HU of what is there already; 1000 is as much as water attenuates.
    """

    middle: tuple[float, float]
    half: tuple[float, float]
    hu: float

    def chord(self, angle: float, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the length in mm that rays have inside.

        Parameters
        ----------
        angle
            Direction in radians, from x towards y, along which rays are told apart; they run across it.
        position
            Place of each ray along that direction, in mm from the middle of the block.
        """
        (y, x), (high, wide) = self.middle, self.half
        cosine, sine = np.cos(angle), np.sin(angle)
        reach = np.hypot(wide * cosine, high * sine)
        away = (position - x * cosine - y * sine) / reach
        return np.asarray(2 * wide * high / reach * np.sqrt(np.clip(1 - away**2, 0, None)))


Body = tuple[Ellipse, ...]


def line_integrals(body: Body, angle: float, position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return −log of the share of photons that pass a body along the rays of `Ellipse.chord`."""
    total = np.zeros_like(position)
    for part in body:
        total += WATER * part.hu / 1000 * part.chord(angle, position)
    return total


def _chest() -> Body:
    """A chest 350 mm wide and 230 mm high, arms up, the block in the left lung."""
    left = -80.0
    return (
        Ellipse((0.0, left), (115.0, 175.0), 1000.0),
        Ellipse((0.0, left - 80), (85.0, 60.0), -850.0),
        Ellipse((0.0, 0.0), (85.0, 60.0), -850.0),
        Ellipse((75.0, left), (20.0, 20.0), 300.0),
    )


def _shoulders() -> Body:
    """Shoulders 460 mm wide and 190 mm high, the block in the apex of the left lung between the humeri."""
    left = -45.0
    heads = [Ellipse((0.0, left + side * 175), (20.0, 22.0), 600.0) for side in (-1, 1)]
    blades = [Ellipse((2.0, left + side * 130), (8.0, 18.0), 600.0) for side in (-1, 1)]
    return (
        Ellipse((0.0, left), (95.0, 230.0), 1000.0),
        Ellipse((0.0, left - 45), (45.0, 35.0), -850.0),
        Ellipse((0.0, 0.0), (45.0, 35.0), -850.0),
        Ellipse((40.0, left), (18.0, 18.0), 400.0),
        *heads,
        *blades,
    )


CHEST: Final = _chest()
SHOULDERS: Final = _shoulders()
