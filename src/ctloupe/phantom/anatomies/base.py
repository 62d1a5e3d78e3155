"""What an anatomy has to say about itself, so that nothing else needs to know it by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.records import validated
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.micro import MicroContrast
from ctloupe.phantom.structure_rule import StructureRule

Shape = tuple[int, int, int]


class AnatomyOptions(BaseModel):
    """Options that only one anatomy has; those of an anatomy without any."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


@dataclass(frozen=True)
class GroundTruth:
    """A block of an anatomy whose every voxel is known.

    Attributes
    ----------
    hu : int16 array of shape (z, y, x)
        Hounsfield units.
    labels : uint8 array of shape (z, y, x)
        Label number of what fills most of each voxel.
    statistics
        Numbers measured from the block that a reader can check against the literature, as JSON holds them.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    statistics: dict[str, Any]


@dataclass(frozen=True)
class WallLabels:
    """Label numbers of a tube whose wall can be measured by profiles across it.

    Attributes
    ----------
    lumen, wall
        Labels of the inside and of the wall.
    around
        Label of the tissue that has to follow the wall, so that no neighbour counts as wall.
    """

    lumen: int
    wall: int
    around: int


@dataclass(frozen=True)
class Anatomy:
    """An anatomy that phantoms can be made of.

    Attributes
    ----------
    name
        Name on the command line and in suites, for instance "temporal-bone".
    caption
        The same in a sentence: "temporal bone".
    labels
        Label numbers; 0 is outside. All other numbers differ from those of every other anatomy, since labels alone
        say which anatomy they are of; but for families of one organ, which have the same enumeration and the same
        rules. The name of a tissue is the member's name in lower-case words.
    build : (shape, seed, spacing, options) → GroundTruth
        What makes the block on an isotropic grid of `spacing` mm; `options` is of the type `options`.
    display : (low, high) in HU
        Window of pictures.
    micro
        Contrast of the µCT.
    structures
        Rules by which its structures are found in images, most important first.
    walls
        Labels of a tube with a measurable wall; None without one.
    options
        Type of the options that only this anatomy has.
    usual
        Voxels and scanner that are usual for it.
    """

    name: str
    caption: str
    labels: type[IntEnum]
    build: Callable[[Shape, int, float, Any], GroundTruth]
    display: tuple[float, float]
    micro: MicroContrast
    structures: tuple[StructureRule, ...] = ()
    walls: WallLabels | None = None
    options: type[AnatomyOptions] = AnatomyOptions
    usual: PhantomConfig = field(default_factory=PhantomConfig)

    def checked(self, options: Mapping[str, Any]) -> AnatomyOptions:
        """Return all options of the anatomy, with its defaults for what `options` leaves out.

        Raises
        ------
        OptionError
            If one is unknown, or its value is of the wrong kind or out of range.
        """
        unknown = [name for name in options if name not in self.options.model_fields]
        if unknown:
            known = ", ".join(self.options.model_fields) or "none"
            raise OptionError(f"`{unknown[0]}` is no option of {self.name}; its own options are: {known}")
        return validated(self.options, dict(options), f"options of {self.name}")

    def make(self, shape: Shape, seed: int, spacing: float, options: Mapping[str, Any]) -> GroundTruth:
        """Build a block of `shape` (z, y, x) isotropic voxels of `spacing` mm; `seed` decides everything random.

        Raises
        ------
        OptionError
            If an option, the shape or the spacing is not one it can be made with.
        """
        return self.build(shape, seed, spacing, self.checked(options))

    def tissues(self) -> dict[int, str]:
        """Name of the tissue of each label number."""
        return {int(label): label.name.lower().replace("_", " ") for label in self.labels}
