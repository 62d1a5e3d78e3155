"""What scanner made the scan of a case? Found without looking at any enhanced image, so that all are judged alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from ctloupe.scanner.edges import blur_from_edges
from ctloupe.scanner.estimate_noise import estimate_noise
from ctloupe.scanner.operator import ScannerOperator
from ctloupe.scanner.scanner import Scanner
from ctloupe.scanner.tile_power import COEFFICIENTS, TilePower, expected_power
from ctloupe.volume.volume import Volume

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import Setting

Plane = NDArray[np.float32]

_ROUNDING: Final = 1 / 12
"""Variance in HU² of rounding to whole HU, which every scan has."""

_SHARE: Final = 0.01
"""Share of its mean below which a modelled power is not trusted: the model of the noise has no floor, scans have."""

_WIDEST: Final = 2.0
"""Largest blur that is tried, in voxels of the scan."""

_HELD: Final = 4
"""Slices of the truth that are in memory while the blur is fitted."""

_PATCH: Final = 16


@dataclass(frozen=True, eq=False)
class CaseScanner:
    """The in-plane part of a scanner, and its noise by spatial frequency.

    Attributes
    ----------
    blur
        Standard deviation in mm of the Gaussian point spread before the average over the voxel; NaN where unknown.
    power
        Expected power of the noise in HU², as `TilePower` measures it; NaN where unknown.
    found_from
        What both were found from, or why they were not, in words.
    """

    blur: float
    power: NDArray[np.float64]
    found_from: str

    @property
    def known(self) -> bool:
        """Whether blur and noise are known."""
        return bool(np.isfinite(self.blur) and np.isfinite(self.power).all())

    @property
    def noise(self) -> float:
        """Standard deviation of the noise in HU."""
        return float(np.sqrt(np.average(self.power, weights=COEFFICIENTS)))

    def seen(self, plane: Plane, setting: Setting) -> Plane:
        """Return what the scanner sees of a slice of the fine grid that is as thick as its own: ``(y, x)`` in HU."""
        return _seen(plane, self.blur, setting)

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain data; what is unknown is None."""
        if not self.known:
            return {"blur_mm": None, "noise_hu": None, "found_from": self.found_from}
        return {"blur_mm": round(self.blur, 4), "noise_hu": round(self.noise, 2), "found_from": self.found_from}


def known_scanner(scanner: Scanner) -> CaseScanner:
    """Return what is compared with of a scanner that is known, as that of a scan that it made here."""
    power = expected_power(scanner.spectrum, scanner.noise) + _ROUNDING
    return CaseScanner(scanner.blur, power, "the record of the scanner that made the scan")


def scanner_of_case(scan: Volume, setting: Setting, truth: Volume | None = None) -> CaseScanner:
    """Find blur and noise of a scan inside the mask, on at most 16 slices.

    With a truth, the blur is the one with which it lies nearest to the scan, and the noise is what is then left. Only
    every other slice is used, so that the truth's own agreement is not 1 by construction. Without, the blur is that of
    edges between air and tissue, and the noise that of the smoothest regions inside the mask.

    Parameters
    ----------
    scan
        The scan in HU.
    setting
        What is compared where.
    truth
        The truth on the fine grid, averaged over the slices of the scan. Of a thinner one, what lies beside its plane
        counts as blur and noise.
    """
    return _from_scan(scan, setting) if truth is None else _from_truth(scan, truth, setting)


def _from_truth(scan: Volume, truth: Volume, setting: Setting) -> CaseScanner:
    used = sorted(setting.detailed)[::2]
    shown = [used[at] for at in np.unique(np.linspace(0, len(used) - 1, _HELD).astype(int))]
    blur = _fitted_blur([(_plane(truth, z), _plane(scan, z), _inside(setting, z)) for z in shown], setting)
    left = TilePower()
    for z in used:
        left.add(_seen(_plane(truth, z), blur, setting) - _plane(scan, z), _inside(setting, z))
    if not left.tiles:
        return _unknown("no square of 8×8 voxels of the scan lies inside the mask")
    return CaseScanner(blur, np.maximum(left.result(), _ROUNDING), "truth and scan, every other slice")


def _fitted_blur(pairs: Sequence[tuple[Plane, Plane, NDArray[np.bool_] | None]], setting: Setting) -> float:
    """Blur in mm of the least sum of squares between truths as seen and the scan."""
    voxel = setting.spacing[1] * setting.scale

    def left(voxels: float) -> float:
        total = 0.0
        for real, scan, inside in pairs:
            off = _seen(real, voxels * voxel, setting) - scan
            total += float(np.square(off if inside is None else off[inside]).sum(dtype=np.float64))
        return total

    found = minimize_scalar(left, bounds=(0, _WIDEST), method="bounded", options={"xatol": 5e-3})
    return 0.0 if left(0.0) <= found.fun else float(found.x) * voxel


def _from_scan(scan: Volume, setting: Setting) -> CaseScanner:
    edges = blur_from_edges(scan)
    if edges is None:
        return _unknown("there is no truth, and the scan shows too few edges between air and tissue to find its blur")
    patches = [patch for z in sorted(setting.detailed) for patch in _patches(_plane(scan, z), _inside(setting, z))]
    if not patches:
        return _unknown(f"no square of {_PATCH}×{_PATCH} voxels of the scan lies inside the mask")
    try:
        noise = estimate_noise(np.stack(patches))
    except ValueError as error:
        return _unknown(str(error))
    power = expected_power(noise.spectrum, noise.noise)
    floor = max(_ROUNDING, _SHARE * noise.noise**2)
    return CaseScanner(edges.blur, np.maximum(power, floor), "edges and smoothest regions of the scan")


def _unknown(why: str) -> CaseScanner:
    return CaseScanner(float("nan"), np.full(len(COEFFICIENTS), np.nan), why)


def _seen(plane: Plane, blur: float, setting: Setting) -> Plane:
    y, x = setting.spacing
    scanner = Scanner((1.0, y * setting.scale, x * setting.scale), blur)
    return np.asarray(ScannerOperator(scanner, (1.0, y, x)).forward(plane[None])[0], np.float32)


def _patches(plane: Plane, inside: NDArray[np.bool_] | None) -> list[Plane]:
    corners = [(y, x) for y in range(0, plane.shape[0], _PATCH) for x in range(0, plane.shape[1], _PATCH)]
    squares = [(slice(y, y + _PATCH), slice(x, x + _PATCH)) for y, x in corners]
    whole = [plane[one] for one in squares if inside is None or inside[one].all()]
    return [patch for patch in whole if patch.shape == (_PATCH, _PATCH)]


def _plane(volume: Volume, z: int) -> Plane:
    return np.asarray(volume.data[z], np.float32)


def _inside(setting: Setting, z: int) -> NDArray[np.bool_] | None:
    return None if setting.mask is None else setting.mask[z]
