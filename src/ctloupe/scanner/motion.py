"""Movement in the plane of a slice while it is scanned: a blur along one direction, or every edge twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import OptionError


@dataclass(frozen=True)
class Motion:
    """What moves along a line during a scan, about the place where the truth is: its mean place stays.

    Either it moves evenly, or it is in one of two states for half the time each, as between two beats of the heart or
    two breaths. Every direction of rays is taken to see the whole movement, so that the scan is the mean over the
    places; what rays of different moments that contradict each other add is not modelled.

    Attributes
    ----------
    distance
        Length of the way, or from the one state to the other, in clinical voxels.
    angle
        Direction in degrees from the rows (x) towards the columns (y).
    states
        Whether there are two states instead of an even movement.

    Raises
    ------
    OptionError
        If the distance is negative.
    """

    distance: float
    angle: float = 30.0
    states: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.distance < np.inf:
            raise OptionError(f"`distance` {self.distance:g}: expected 0 voxels or more")

    def transfer(self, along_y: NDArray[np.float64], along_x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the factor on a sine of this frequency; real and even, so that nothing is shifted.

        ``sinc(f·d)`` for an even movement, ``cos(π·f·d)`` for two states, with f the frequency along the direction.

        Parameters
        ----------
        along_y, along_x
            Spatial frequency along y and x in cycles a clinical voxel.
        """
        turned = np.radians(self.angle)
        cycles = (along_x * np.cos(turned) + along_y * np.sin(turned)) * self.distance
        return np.asarray(np.cos(np.pi * cycles) if self.states else np.sinc(cycles))
