"""The rule by which a structure of an anatomy is found in a slice, of an image or of the truth alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StructureRule:
    """How a structure is found in a slice: smooth, threshold, open, and keep regions of a least size.

    Attributes
    ----------
    name
        Name of the structure in the singular, for instance "vessel".
    labels
        Label numbers that the structure has in the truth.
    between : (low, high) in HU
        Values of the smoothed slice between which the structure lies.
    smoothing
        Standard deviation of the Gaussian in mm.
    opening
        Radius of the opening in mm; 0 leaves it out.
    least
        Smallest equivalent diameter in mm of a region that is found.
    counted
        Smallest equivalent diameter in mm of a labelled region that counts: a little larger than `least`, since
        thresholds move borders.
    tree
        Whether it is a tree of tubes, which can be followed through the slices.
    """

    name: str
    labels: tuple[int, ...]
    between: tuple[float, float]
    smoothing: float
    opening: float
    least: float
    counted: float
    tree: bool = False

    def in_words(self) -> str:
        """The rule in one sentence."""
        low, high = self.between
        values = f"above {low:g} HU" if high == np.inf else f"below {high:g} HU"
        values = f"from {low:g} to {high:g} HU" if np.isfinite([low, high]).all() else values
        opened = f", opening of {self.opening:g} mm" if self.opening else ""
        return (
            f"{self.name}: Gaussian of {self.smoothing:g} mm, {values}{opened}, regions of at least {self.least:g} mm "
            f"equivalent diameter; labelled ones count from {self.counted:g} mm on"
        )
