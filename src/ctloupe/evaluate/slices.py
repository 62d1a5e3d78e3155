"""What metrics look at: slices of images and of what is known of them, with everything shared computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.metrics.base import Need
from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomies.base import Anatomy
from ctloupe.phantom.structure_rule import StructureRule
from ctloupe.volume.volume import Volume

if TYPE_CHECKING:
    from ctloupe.evaluate.case_scanner import CaseScanner
    from ctloupe.evaluate.metrics.texture import Unpaired

Flags = NDArray[np.bool_]
Plane = NDArray[np.float32]
Found = TypeVar("Found")


class Once:
    """What is computed when it is first asked for, whichever thread asks; who asks meanwhile waits for it."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._locks: dict[Hashable, RLock] = {}
        self._found: dict[Hashable, Any] = {}

    def of(self, key: Hashable, find: Callable[[], Found]) -> Found:
        """Return what was found under a key; ``find()`` when nothing was."""
        with self._guard:
            lock = self._locks.setdefault(key, RLock())
        with lock:
            if key not in self._found:
                self._found[key] = find()
            known: Found = self._found[key]
            return known


DETAILED_SLICES: Final = 16
"""Slices, evenly spread, that Fourier transforms and patches are taken of."""


@dataclass(frozen=True)
class Setting:
    """Where images are compared, and what is known there besides them.

    Attributes
    ----------
    scale
        Fine pixels a pixel of the scan, in y and x.
    slices
        Number of slices of the scan, compared or not.
    spacing : (y, x) mm
        Pixels of the fine grid.
    slice_spacing
        Distance in mm from slice to slice; NaN where nobody said.
    known
        What is known besides the images.
    mask : bool on the grid of the scan
        Where to compare; None: everywhere.
    shown : (n,)
        Numbers of the slices that hold something to compare.
    detailed
        Numbers of those slices that are looked at closely, at most 16 evenly spread ones.
    box
        Rectangle of the fine grid around the mask.
    voxels
        Number of fine voxels that are compared.
    volume_cm3
        Volume of what is compared, in cm³.
    anatomy
        The anatomy that the labels are of; None without labels, and with labels that no anatomy has.
    unpaired
        What a µCT looks like.
    scanner
        What made the scan; None where nobody looked for it.
    """

    scale: int
    slices: int
    spacing: tuple[float, float]
    known: frozenset[Need]
    mask: Flags | None = None
    shown: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    detailed: frozenset[int] = frozenset()
    box: tuple[slice, slice] = (slice(None), slice(None))
    voxels: int = 0
    volume_cm3: float = float("nan")
    anatomy: Anatomy | None = None
    unpaired: Unpaired | None = None
    scanner: CaseScanner | None = None
    slice_spacing: float = float("nan")

    @property
    def rules(self) -> tuple[StructureRule, ...]:
        """Rules by which structures of the labelled anatomy are found; none without one."""
        return () if self.anatomy is None else self.anatomy.structures

    @classmethod
    def of(cls, shape: tuple[int, int, int], fine: Volume, mask: Flags | None, **more: Any) -> Setting:
        """Work out what is compared where.

        Parameters
        ----------
        shape
            Shape of the scan (z, y, x).
        fine
            A volume on the finer grid.
        mask, more
            Attributes.

        Raises
        ------
        OptionError
            If the mask is empty.
        """
        scale = fine.shape[1] // shape[1]
        where = np.ones(shape, bool) if mask is None else mask
        if not where.any():
            raise OptionError("the mask is empty: there is nothing to compare")
        shown = np.flatnonzero(where.any((1, 2)))
        rows, columns = (np.flatnonzero(where.any((0, axis))) for axis in (2, 1))
        box = slice(rows[0] * scale, (rows[-1] + 1) * scale), slice(columns[0] * scale, (columns[-1] + 1) * scale)
        volume = int(where.sum()) * scale**2 * float(np.prod(fine.spacing)) / 1000
        return cls(
            scale,
            shape[0],
            (fine.spacing[1], fine.spacing[2]),
            mask=mask,
            shown=shown,
            detailed=detailed_slices(shown),
            box=box,
            voxels=int(where.sum()) * scale**2,
            volume_cm3=volume,
            slice_spacing=fine.spacing[0],
            **more,
        )


def detailed_slices(shown: NDArray[np.intp]) -> frozenset[int]:
    """At most 16 evenly spread ones of these slice numbers."""
    if not len(shown):
        return frozenset()
    return frozenset(int(shown[at]) for at in np.linspace(0, len(shown) - 1, DETAILED_SLICES).astype(int))


def counted_squares(flags: Flags, side: int) -> NDArray[np.int64]:
    """How many flags are set in the square of `side` pixels from each corner where one fits."""
    total = np.pad(flags.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    found: NDArray[np.int64] = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    return found


class Reference:
    """One slice of what is known, whichever image is compared with it.

    Parameters
    ----------
    setting
        What is compared where.
    z
        Number of the slice.
    scan : (y, x)
        The slice of the scan in HU, or of whatever was enhanced.
    truth : (s·y, s·x)
        The slice of the truth, where it is known.
    labels : (s·y, s·x)
        Label numbers, where they are known.
    thick_truth : (s·y, s·x)
        The truth averaged over the thickness of the slice, where it is known apart.
    micro_truth : (s·y, s·x)
        The truth as the µCT shows it, brought to HU by the windows of both modalities, where it was scanned.
    other_scan : (y, x)
        The slice of another reconstruction of the same acquisition, where there is one.
    """

    def __init__(
        self,
        setting: Setting,
        z: int,
        scan: Plane,
        truth: Plane | None = None,
        labels: NDArray[Any] | None = None,
        thick_truth: Plane | None = None,
        micro_truth: Plane | None = None,
        other_scan: Plane | None = None,
    ) -> None:
        self.micro_truth, self._other_scan = micro_truth, other_scan
        self.setting, self.z, self.scan = setting, z, scan
        self._truth, self._labels, self._thick_truth = truth, labels, thick_truth
        self._shared = Once()

    def once(self, find: Callable[..., Found], *more: Hashable) -> Found:
        """Return ``find(self, *more)``, computed when it is first asked for: all images and metrics share it."""
        return self._shared.of((find, *more), lambda: find(self, *more))

    @property
    def truth(self) -> Plane:
        """The slice of the truth; `ValueError` where it is not known."""
        return _known(self._truth, "truth")

    @property
    def thick_truth(self) -> Plane:
        """The truth averaged over the thickness of the slice; the truth itself where that is not known apart."""
        return self.truth if self._thick_truth is None else self._thick_truth

    @property
    def other_scan(self) -> Plane:
        """The slice of the other reconstruction; `ValueError` where there is none."""
        return _known(self._other_scan, "other reconstruction")

    @property
    def labels(self) -> NDArray[Any]:
        """Label numbers of all pixels; `ValueError` where they are not known."""
        return _known(self._labels, "labels")

    @property
    def has_labels(self) -> bool:
        """Whether label numbers are known."""
        return self._labels is not None

    @property
    def coarse_inside(self) -> Flags | None:
        """The mask on the grid of the scan; None: everywhere."""
        return None if self.setting.mask is None else self.setting.mask[self.z]

    @cached_property
    def inside(self) -> Flags | None:
        """The mask on the fine grid; None: everywhere."""
        coarse, scale = self.coarse_inside, self.setting.scale
        return None if coarse is None else coarse.repeat(scale, 0).repeat(scale, 1)

    @property
    def detailed(self) -> bool:
        """Whether this slice is one of those that are looked at closely."""
        return self.z in self.setting.detailed

    @cached_property
    def labels_inside(self) -> NDArray[Any]:
        """Label numbers, 0 outside the mask."""
        return self.labels if self.inside is None else np.where(self.inside, self.labels, 0)

    @cached_property
    def boxed_truth(self) -> Plane:
        """The truth in the rectangle around the mask; see `boxed`."""
        return self.boxed(self.truth)

    def boxed(self, plane: Plane) -> Plane:
        """The rectangle of a plane around the mask; what is outside the mask counts as the mean inside."""
        part = plane[self.setting.box]
        if self.inside is None:
            return part
        inside = self.inside[self.setting.box]
        return np.where(inside, part, part[inside].mean(dtype=np.float64)).astype(np.float32)


def _known(plane: NDArray[Any] | None, what: str) -> NDArray[Any]:
    if plane is None:
        raise ValueError(f"no {what} is known of this slice; a metric that uses it has to say that it needs it")
    return plane


class ImageSlice:
    """One slice of an image that is compared.

    Parameters
    ----------
    plane : (s·y, s·x)
        The image's slice in HU, or in the units of the truth.
    reference
        What is known of the same slice.
    pixel
        Edge of the image's own pixels in mm, along y.
    deviation : (s·y, s·x)
        Standard deviation of the plane, where it has one.
    thick : (s·y, s·x)
        The plane averaged over the thickness of the scan's slice; None: it is as thick as that.
    micro
        The plane as the µCT shows it; None: the plane claims to look like that itself.
    other : (s·y, s·x)
        What was made in the same way from the other reconstruction, where there is one.
    """

    def __init__(
        self,
        plane: Plane,
        reference: Reference,
        pixel: float,
        deviation: Plane | None = None,
        thick: Plane | None = None,
        micro: Plane | None = None,
        other: Plane | None = None,
    ) -> None:
        self._other, self._shared = other, Once()
        self.as_micro = plane if micro is None else micro
        self.plane, self.reference, self.pixel, self._deviation = plane, reference, pixel, deviation
        self.as_thick_as_scan = plane if thick is None else thick

    def once(self, find: Callable[..., Found], *more: Hashable) -> Found:
        """Return ``find(self, *more)``, computed when it is first asked for: all metrics of this image share it."""
        return self._shared.of((find, *more), lambda: find(self, *more))

    @property
    def setting(self) -> Setting:
        """What is compared where."""
        return self.reference.setting

    @property
    def other(self) -> Plane:
        """The answer to the other reconstruction; `ValueError` where there is none."""
        return _known(self._other, "answer to another reconstruction")

    @property
    def deviation(self) -> Plane:
        """Standard deviation of the plane; `ValueError` where it has none."""
        return _known(self._deviation, "uncertainty")

    @cached_property
    def boxed(self) -> Plane:
        """The image in the rectangle around the mask; see `Reference.boxed`."""
        return self.reference.boxed(self.plane)

    @cached_property
    def difference(self) -> NDArray[np.float32]:
        """Image − truth, of the pixels inside the mask."""
        off = self.plane - self.reference.truth
        return off if self.reference.inside is None else off[self.reference.inside]
