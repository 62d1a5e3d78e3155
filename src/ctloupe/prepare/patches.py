"""Patch banks: random in-plane patches wholly inside a mask, with a record of where they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.records import load_record, save_record
from ctloupe.images.windows import CLINICAL, IntensityWindow, Scaling
from ctloupe.prepare.bank_record import BankRecord, WindowRecord
from ctloupe.prepare.cutting import Kept, Mask, Places, VolumePatches, cut_volume, storage
from ctloupe.prepare.masks import MaskKind
from ctloupe.prepare.neighbours import Neighbours
from ctloupe.volume.volume import Volume

Case = tuple[str, Volume, Mask | None]

PATCHES_NAME: Final = "patches.npy"
AVERAGES_NAME: Final = "thick.npy"
RECORD_NAME: Final = "bank.json"
_DAMAGE = (OSError, ValueError, EOFError, BadZipFile, SyntaxError, TokenError)
"""Errors that NumPy raises for a damaged array."""
_ADVICE: Final = "make the bank again with 'ctloupe prepare'"


@dataclass(frozen=True)
class PatchBank:
    """Patches of one modality, ready to be put on the training device.

    Attributes
    ----------
    patches : int16 (n, p, p)
        Patches as stored; the value is ``slope * stored + intercept``.
    window
        Window that takes values to [−1, 1].
    spacing : (y, x)
        In-plane spacing in mm.
    modality
        Modality of the volumes, ``"clinical"``, ``"micro"`` or ``"unknown"``.
    slope, intercept
        Line from stored integers to values.
    provenance : list of dict
        Name, shape, share of the mask, number of patches, seed and checksum of the patches of each volume.
    slice_averages : int16 (n, p, p), optional
        Patches of the same places averaged over the thickness of a clinical slice.
    mask
        Kind of the masks that the patches were drawn in; None: not known, as in older banks.
    neighbours
        The slices below and above each patch; None where they were not asked for.
    scaling
        ``"min-max"`` where each volume was scaled by its own range, of which `window` is only the mean.
    """

    patches: NDArray[np.int16]
    window: IntensityWindow
    spacing: tuple[float, float]
    modality: str = "unknown"
    slope: float = 1.0
    intercept: float = 0.0
    provenance: list[dict[str, Any]] = field(default_factory=list)
    slice_averages: NDArray[np.int16] | None = None
    mask: MaskKind | None = None
    neighbours: Neighbours | None = None
    scaling: Scaling = "fixed"

    def __len__(self) -> int:
        return len(self.patches)

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels."""
        return int(self.patches.shape[-1])

    def values(self, index: int) -> NDArray[np.float32]:
        """Return patch `index` in the units of its volume, ``(p, p)``."""
        return self.patches[index].astype(np.float32) * np.float32(self.slope) + np.float32(self.intercept)

    def unit_line(self) -> tuple[float, float]:
        """Return gain and offset that take stored integers to [−1, 1] (before clipping)."""
        width = self.window.high - self.window.low
        return 2 * self.slope / width, 2 * (self.intercept - self.window.low) / width - 1

    def unit(self) -> NDArray[np.float32]:
        """Return all patches in [−1, 1], ``(n, 1, p, p)``."""
        gain, offset = self.unit_line()
        result = self.patches.astype(np.float32)[:, None]
        result *= gain
        result += offset
        return result.clip(-1, 1, out=result)

    @classmethod
    def sample(
        cls,
        volumes: Iterable[Case],
        patch_size: int,
        per_volume: int = 2000,
        window: IntensityWindow = CLINICAL,
        seed: int = 0,
        *,
        stride: int | None = None,
        thickness_mm: float | None = None,
        neighbours: Sequence[float] | None = None,
        mask_kind: MaskKind | None = None,
    ) -> PatchBank:
        """Draw patches uniformly over all places where one lies wholly inside the mask.

        Parameters
        ----------
        volumes
            Name, volume and mask (None: everywhere); taken one at a time, each read slab by slab.
        patch_size
            Side of a patch in pixels.
        per_volume
            Number of patches from each volume (2,000 in JMI 2022), drawn without replacement where there are enough
            places.
        window
            Window that is kept with the bank.
        seed
            Seed of the choice; volume k of the list uses ``(seed, k)``.
        stride
            Step in pixels of a grid from the corner of the mask's bounding box: patches are cut at places of the grid
            only, each once, at most `per_volume` of them (ISBI 2021).
        thickness_mm
            Thickness of a clinical slice: the same places averaged over it are kept too. It has no effect where the
            slices of a volume are no thinner.
        neighbours
            Keep what lies below and above each patch too. Of µCT: slice spacings in mm of the scans, from which one is
            drawn for each slice; averages are then over its length, and the neighbours are the slabs beside. Empty: the
            next slices of the volume itself. None: no neighbours.
        mask_kind
            Kind of the masks, which is kept with the bank.

        Raises
        ------
        IntensityError
            If no patch fits into a mask; names the volume.
        GeometryError
            If a mask is not on the grid of its volume.
        OptionError
            If there is no volume, or sizes are not positive.
        """
        places = Places(patch_size, per_volume, seed, stride)
        planes = Kept(thickness_mm, None if neighbours is None else tuple(neighbours))
        parts = [
            cut_volume(number, name, volume, mask, places, planes, window)
            for number, (name, volume, mask) in enumerate(volumes)
        ]
        return cls.joined(parts, window, mask_kind)

    @classmethod
    def joined(
        cls, parts: Sequence[VolumePatches], window: IntensityWindow, mask_kind: MaskKind | None = None
    ) -> PatchBank:
        """Put the patches of several volumes together, in their order.

        Raises
        ------
        OptionError
            If there is none.
        """
        if not parts:
            raise OptionError("no volume was given to cut patches from")
        found = [one.averages for one in parts if one.averages is not None]
        together = np.concatenate(found) if len(found) == len(parts) else None
        patches = np.concatenate([one.patches for one in parts])
        beside = [one.neighbours for one in parts if one.neighbours is not None]
        both = Neighbours.joined(beside) if beside else None
        last, (slope, intercept) = parts[-1], storage(window)
        provenance = [one.provenance for one in parts]
        return cls(
            patches, window, last.spacing, last.modality, slope, intercept, provenance, together, mask_kind, both
        )

    def save(self, path: Path, overwrite: bool = False) -> None:
        """Write the bank to the folder `path`.

        Raises
        ------
        FileError
            If the folder exists without `overwrite` or cannot be written.
        """
        record = BankRecord(
            modality=self.modality,
            spacing=self.spacing,
            window=WindowRecord(low=self.window.low, high=self.window.high),
            scaling=self.scaling,
            mask=self.mask,
            slope=self.slope,
            intercept=self.intercept,
            provenance=self.provenance,
        )
        with replacing(path, overwrite) as temporary:
            temporary.mkdir()
            np.save(temporary / PATCHES_NAME, self.patches, allow_pickle=False)
            if self.slice_averages is not None:
                np.save(temporary / AVERAGES_NAME, self.slice_averages, allow_pickle=False)
            if self.neighbours is not None:
                self.neighbours.save(temporary)
            save_record(temporary / RECORD_NAME, record)

    @classmethod
    def load(cls, path: Path) -> PatchBank:
        """Open a saved bank; the patches are mapped from the file, not read.

        Raises
        ------
        FileError
            If a part is missing or damaged.
        """
        record_file, patches_file = path / RECORD_NAME, path / PATCHES_NAME
        for file in (record_file, patches_file):
            if not file.is_file():
                raise FileError(f"{path}: no patch bank here ({file.name} is missing); make one with 'ctloupe prepare'")
        record = load_record(record_file, BankRecord, "description of a patch bank", _ADVICE)
        averages_file = path / AVERAGES_NAME
        try:
            patches = np.load(patches_file, mmap_mode="r", allow_pickle=False)
            averages = np.load(averages_file, mmap_mode="r", allow_pickle=False) if averages_file.is_file() else None
            neighbours = Neighbours.load(path, patches.shape)
        except _DAMAGE as error:
            raise FileError(f"{path}: damaged patch bank ({error}); {_ADVICE}") from error
        if patches.dtype != np.int16 or patches.ndim != 3 or patches.shape[1] != patches.shape[2] or not len(patches):
            raise FileError(f"{patches_file}: expected int16 patches (n, p, p), found {patches.dtype} {patches.shape}")
        if averages is not None and (averages.dtype != np.int16 or averages.shape != patches.shape):
            raise FileError(f"{averages_file}: expected int16 {patches.shape}, found {averages.dtype} {averages.shape}")
        return cls(
            patches,
            IntensityWindow(record.window.low, record.window.high),
            record.spacing,
            record.modality,
            record.slope,
            record.intercept,
            record.provenance,
            averages,
            record.mask,
            neighbours,
            record.scaling,
        )
