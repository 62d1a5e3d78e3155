"""What can be chosen about a phantom, whatever its anatomy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ctloupe.volume.geometry import IDENTITY, Direction, Triple


@dataclass(frozen=True)
class PhantomConfig:
    """What can be chosen about a phantom.

    Attributes
    ----------
    spacing
        Edge of the isotropic fine voxels in mm.
    scale, slices
        Number of fine voxels in a clinical voxel in y and x, and along z.
    options
        What only this anatomy has, by name; what is left out has the anatomy's default.
    cylinder
        Whether the µCT specimen is scanned in a plastic cylinder.
    kernel, fwhm_mm, noise_hu
        Reconstruction kernel, point spread and noise of the clinical scanner; see `clinical_scan`.
    origin, direction
        Position and axes of the fine grid, LPS.
    """

    spacing: float = 0.078125
    scale: int = 8
    slices: int = 8
    options: Mapping[str, Any] = field(default_factory=dict)
    cylinder: bool = False
    kernel: str = "standard"
    fwhm_mm: float | None = None
    noise_hu: float = 20.0
    origin: Triple = (0.0, 0.0, 0.0)
    direction: Direction = IDENTITY
