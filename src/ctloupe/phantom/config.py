"""What can be chosen about a phantom, whatever its anatomy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ctloupe.foundation.errors import OptionError
from ctloupe.scanner.other_scanner import combined
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
    scanner
        What the clinical scanner differs by from the usual ones: names of `ctloupe.scanner.other_scanner.PARTS`.
    origin, direction
        Position and axes of the fine grid, LPS.

    Raises
    ------
    OptionError
        If a length or a number of voxels is not positive, the noise or the point spread is negative, or the parts of
        the scanner are not possible together.
    """

    spacing: float = 0.078125
    scale: int = 8
    slices: int = 8
    options: Mapping[str, Any] = field(default_factory=dict)
    cylinder: bool = False
    kernel: str = "standard"
    fwhm_mm: float | None = None
    noise_hu: float = 20.0
    scanner: tuple[str, ...] = ()
    origin: Triple = (0.0, 0.0, 0.0)
    direction: Direction = IDENTITY

    def __post_init__(self) -> None:
        if not 0 < self.spacing < math.inf:
            raise OptionError(f"`spacing` {self.spacing:g}: expected an edge in mm")
        for name in ("scale", "slices"):
            if getattr(self, name) < 1:
                raise OptionError(f"`{name}` {getattr(self, name)}: expected at least 1 fine voxel")
        if self.fwhm_mm is not None and not 0 <= self.fwhm_mm < math.inf:
            raise OptionError(f"`fwhm_mm` {self.fwhm_mm:g}: expected 0 mm or more")
        if not 0 <= self.noise_hu < math.inf:
            raise OptionError(f"`noise_hu` {self.noise_hu:g}: expected 0 HU or more")
        require_possible(self.scanner, self.kernel, self.fwhm_mm)


def require_possible(parts: Sequence[str], kernel: str, fwhm_mm: float | None) -> None:
    """Raise an `OptionError` if there is no such part of a scanner, or parts, kernel and point spread contradict."""
    whole = combined(parts)
    if whole.ringing is not None and (kernel != "standard" or fwhm_mm is not None):
        name = f"`kernel` {kernel}" if kernel != "standard" else f"`fwhm_mm` {fwhm_mm:g}"
        raise OptionError(f"{name}: a scanner that rings has a kernel of its own; leave one of both out")
