"""The point spread of a sharp reconstruction kernel: it overshoots at edges and rings, as no Gaussian does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import OptionError


@dataclass(frozen=True)
class Ringing:
    """A radially symmetric modulation transfer function that overshoots 1 at mid frequencies and falls to 0.

    At the share x of the cut-off it is ``(1 + boost·x²)·(1 − x²)²``, and 0 from the cut-off on, which it reaches with
    no step and no kink. A simple form of what sharp kernels for lung and bone do; no vendor's kernel is meant.

    Attributes
    ----------
    cut_off
        Frequency in cycles a clinical voxel from which on nothing is left.
    boost
        How much mid frequencies are raised: above 2 the function overshoots 1.

    Raises
    ------
    OptionError
        If the cut-off is not positive or the boost negative.
    """

    cut_off: float = 0.6
    boost: float = 6.0

    def __post_init__(self) -> None:
        if not 0 < self.cut_off < np.inf:
            raise OptionError(f"`cut_off` {self.cut_off:g}: expected cycles a voxel above 0")
        if not 0 <= self.boost < np.inf:
            raise OptionError(f"`boost` {self.boost:g}: expected 0 or more")

    @property
    def peak(self) -> float:
        """The highest value of the modulation transfer function, where its derivative is 0."""
        return 1.0 if self.boost <= 2 else 4 * (self.boost + 1) ** 3 / (27 * self.boost**2)

    def transfer(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of a sine's amplitude that is left before the average over the voxel.

        Parameters
        ----------
        frequency
            Spatial frequency in cycles a clinical voxel, in any direction of the plane.
        """
        share = np.minimum(np.abs(frequency) / self.cut_off, 1.0) ** 2
        return np.asarray((1 + self.boost * share) * (1 - share) ** 2)

    def power(self, frequency: NDArray[np.float64], lowest: float = 0.0) -> NDArray[np.float64]:
        """Return the power of noise behind the kernel, up to a factor: the ramp times the squared transfer function.

        As `NoiseSpectrum.power`.

        Parameters
        ----------
        frequency
            Spatial frequency in cycles a clinical voxel; those below `lowest` are taken as `lowest`.
        """
        floor = np.maximum(np.abs(frequency), lowest)
        return np.asarray(floor * self.transfer(frequency) ** 2)
