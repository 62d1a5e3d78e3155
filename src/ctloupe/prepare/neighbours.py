"""The slices below and above each patch of a bank, for methods that look at three slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import FileError
from ctloupe.prepare.slice_average import SlabMean, SliceAverages
from ctloupe.volume.volume import Volume

NEIGHBOURS_NAME: Final = "neighbours.npy"
SPACINGS_NAME: Final = "slice-spacings.npy"


@dataclass(frozen=True)
class Neighbours:
    """What lies below and above the patches of a bank.

    Attributes
    ----------
    patches : int16 (n, 2, p, p)
        Below and above each patch, stored as the patches are. At the ends of a volume the nearest slice stands for
        the missing one.
    spacings : float32 (n,)
        Distance of the slices in mm.
    """

    patches: NDArray[np.int16]
    spacings: NDArray[np.float32]

    @classmethod
    def joined(cls, parts: Sequence[Neighbours]) -> Neighbours:
        """Put those of several volumes together."""
        return cls(np.concatenate([one.patches for one in parts]), np.concatenate([one.spacings for one in parts]))

    def save(self, folder: Path) -> None:
        """Write them into the folder of a bank."""
        np.save(folder / NEIGHBOURS_NAME, self.patches, allow_pickle=False)
        np.save(folder / SPACINGS_NAME, self.spacings, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, shape: tuple[int, ...]) -> Neighbours | None:
        """Open those of a bank whose patches have `shape` ``(n, p, p)``; None where it keeps none.

        Raises
        ------
        FileError
            If they do not fit the patches.
        OSError, ValueError, EOFError
            If a file is missing or damaged.
        """
        if not (folder / NEIGHBOURS_NAME).is_file():
            return None
        patches = np.load(folder / NEIGHBOURS_NAME, mmap_mode="r", allow_pickle=False)
        spacings = np.load(folder / SPACINGS_NAME, allow_pickle=False)
        wanted = shape[0], 2, *shape[1:]
        if patches.dtype != np.int16 or patches.shape != wanted:
            raise FileError(
                f"{folder / NEIGHBOURS_NAME}: expected int16 {wanted}, found {patches.dtype} {patches.shape}"
            )
        if spacings.dtype != np.float32 or spacings.shape != shape[:1] or not (spacings > 0).all():
            raise FileError(f"{folder / SPACINGS_NAME}: expected {shape[0]} positive float32 numbers")
        return cls(patches, spacings)


class Planes(NamedTuple):
    """What is stored beside a slice, as far as it was asked for: arrays, or what is computed where it is sliced.

    Attributes
    ----------
    average : (y, x)
        Mean over the thickness of a clinical slice.
    below, above : (y, x)
        The neighbours.
    spacing
        Their distance in mm.
    """

    average: SlabMean | None = None
    below: SlabMean | NDArray[Any] | None = None
    above: SlabMean | NDArray[Any] | None = None
    spacing: float = 0.0


class PlanesOf(Protocol):
    """Gives the planes of a slice; slices are asked for in ascending order."""

    def __call__(self, z: int) -> Planes:
        """Return the planes of slice `z`."""


def planes_of(
    volume: Volume, thickness_mm: float | None, neighbours: Sequence[float] | None, seed: tuple[int, ...]
) -> PlanesOf:
    """Return what gives the planes beside the slices of a volume; see `PatchBank.sample`."""
    if neighbours is None:
        if thickness_mm is None or thickness_mm <= 1.01 * volume.spacing[0]:
            return lambda z: Planes()
        slabs = SliceAverages(volume, thickness_mm)
        return lambda z: Planes(average=slabs.planes(z, (0,))[0])
    if not neighbours:
        return lambda z: _own(volume, z)
    return _slabs(volume, neighbours, seed)


def _own(volume: Volume, z: int) -> Planes:
    below, above = volume.data[max(0, z - 1)], volume.data[min(volume.shape[0] - 1, z + 1)]
    return Planes(None, below, above, volume.spacing[0])


def _slabs(volume: Volume, spacings: Sequence[float], seed: tuple[int, ...]) -> PlanesOf:
    """Slabs that lie side by side, of a thickness drawn for each slice from the spacings of scans."""

    @cache
    def of(spacing: float) -> SliceAverages:
        return SliceAverages(volume, spacing)

    def planes(z: int) -> Planes:
        # Scans whose slices are the same but for rounding share the planes that are read.
        spacing = round(float(np.random.default_rng((*seed, z)).choice(np.asarray(spacings))), 4)
        average, below, above = of(spacing).planes(z, (0, -1, 1))
        return Planes(average, below, above, spacing)

    return planes
