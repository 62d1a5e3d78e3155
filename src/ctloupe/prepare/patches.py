"""Patch banks: random in-plane patches wholly inside a mask, with a record of where they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import FileError, GeometryError, IntensityError, OptionError
from ctloupe.foundation.records import load_record, save_record
from ctloupe.images.windows import CLINICAL, IntensityWindow, Scaling
from ctloupe.prepare.bank_record import BankRecord, WindowRecord
from ctloupe.prepare.masks import MaskKind
from ctloupe.prepare.neighbours import Neighbours, PlanesOf, planes_of
from ctloupe.volume.volume import Volume

Mask = NDArray[np.bool_]
Case = tuple[str, Volume, Mask | None]

PATCHES_NAME: Final = "patches.npy"
AVERAGES_NAME: Final = "thick.npy"
RECORD_NAME: Final = "bank.json"
_DAMAGE = (OSError, ValueError, EOFError, BadZipFile, SyntaxError, TokenError)
"""Errors that NumPy raises for a damaged array."""
_ADVICE: Final = "make the bank again with 'ctloupe prepare'"
_INT16 = np.iinfo(np.int16)
_COARSEST_WINDOW = 500.0
"""A window at least this wide is resolved well enough by whole numbers."""


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
        if patch_size < 1 or per_volume < 1 or (stride is not None and stride < 1):
            raise OptionError(f"patches of {patch_size} pixels, {per_volume} a volume: expected positive numbers")
        slope, intercept = _storage(window)
        parts: list[_Cut] = []
        provenance = []
        spacing, modality = (0.0, 0.0), "unknown"
        for number, (name, volume, mask) in enumerate(volumes):
            random = np.random.default_rng((seed, number))
            inside = _as_mask(name, mask, volume)
            chosen, places = _choose(name, volume, inside, patch_size, per_volume, random, stride or 1, stride is None)
            planes = planes_of(volume, thickness_mm, neighbours, (seed, number))
            cut = _cut(volume, chosen, patch_size, slope, intercept, planes)
            stored, averages, around = cut
            parts.append(cut)
            spacing, modality = (volume.spacing[1], volume.spacing[2]), volume.modality
            provenance.append(
                {
                    "name": name,
                    "shape": list(volume.shape),
                    "spacing": list(volume.spacing),
                    "mask_share": 1.0 if inside is None else round(float(inside.mean()), 6),
                    "patches": len(stored),
                    "places": places,
                    "drawn_twice": places < len(stored),
                    "stride": stride,
                    "thickness_mm": None if averages is None else thickness_mm,
                    "neighbours_mm": None if around is None else np.unique(around.spacings).tolist(),
                    "seed": seed,
                    "patches_sha256": hashlib.sha256(stored.tobytes()).hexdigest(),
                    "history": list(volume.history),
                }
            )
        if not parts:
            raise OptionError("no volume was given to cut patches from")
        found = [one.averages for one in parts if one.averages is not None]
        together = np.concatenate(found) if len(found) == len(parts) else None
        patches = np.concatenate([one.patches for one in parts])
        beside = [one.neighbours for one in parts if one.neighbours is not None]
        both = Neighbours.joined(beside) if beside else None
        return cls(patches, window, spacing, modality, slope, intercept, provenance, together, mask_kind, both)

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


def _storage(window: IntensityWindow) -> tuple[float, float]:
    """Slope and intercept of the stored integers: values themselves where whole numbers resolve the window."""
    inside = window.low >= _INT16.min and window.high <= _INT16.max
    if inside and window.high - window.low >= _COARSEST_WINDOW:
        return 1.0, 0.0
    # A little room beyond the window, so that its ends are met exactly.
    return (window.high - window.low) / 60000, (window.low + window.high) / 2


def _as_mask(name: str, mask: NDArray[Any] | None, volume: Volume) -> Mask | None:
    if mask is None:
        return None
    if mask.shape != volume.shape:
        raise GeometryError(f"{name}: the mask has shape {mask.shape}, the volume {volume.shape}")
    return mask if mask.dtype == bool else mask != 0


def _choose(
    name: str,
    volume: Volume,
    mask: Mask | None,
    size: int,
    count: int,
    random: np.random.Generator,
    stride: int,
    repeat: bool,
) -> tuple[list[tuple[int, NDArray[np.int64], NDArray[np.int64]]], int]:
    """Slices with the top-left corners of their patches, and the number of places there were to choose from."""
    grid = _grid(mask, stride)
    places = np.array([_places(volume, mask, z, size, grid) for z in range(volume.shape[0])])
    total = int(places.sum())
    if total == 0:
        where = "inside the mask" if mask is not None else "into its slices"
        raise IntensityError(
            f"{name}: no patch of {size}×{size} pixels fits {where} ({volume.shape[1]}×{volume.shape[2]} pixels); "
            "check the mask, or take a smaller patch"
        )
    wanted = count if repeat else min(count, total)
    chosen = np.sort(random.choice(total, wanted, replace=total < wanted))
    ends = np.cumsum(places)
    found = []
    for z in np.unique(np.searchsorted(ends, chosen, side="right")):
        first = ends[z] - places[z]
        ranks = chosen[(chosen >= first) & (chosen < ends[z])] - first
        found.append((int(z), *_corners(volume, mask, int(z), size, ranks, grid)))
    return found, total


class _Cut(NamedTuple):
    """What was cut out of one volume."""

    patches: NDArray[np.int16]
    averages: NDArray[np.int16] | None
    neighbours: Neighbours | None


def _cut(
    volume: Volume,
    chosen: list[tuple[int, NDArray[np.int64], NDArray[np.int64]]],
    size: int,
    slope: float,
    intercept: float,
    beside: PlanesOf,
) -> _Cut:
    """Cut the patches, slice by slice, and the same ones out of the planes that are kept beside the slices."""
    count, index = sum(len(tops) for _, tops, _ in chosen), 0
    kept: dict[str, NDArray[np.int16]] = {}
    spacings = np.empty(count, np.float32)
    for z, tops, lefts in chosen:
        found = beside(z)
        planes = {"patches": volume.data[z], "average": found.average, "below": found.below, "above": found.above}
        for name, plane in planes.items():
            if plane is None:
                continue
            if name not in kept:
                kept[name] = np.empty((count, size, size), np.int16)
            stored, target = _stored(plane, slope, intercept), kept[name]
            for place, (top, left) in enumerate(zip(tops, lefts, strict=True), index):
                target[place] = stored[top : top + size, left : left + size]
        spacings[index : index + len(tops)] = found.spacing
        index += len(tops)
    around = Neighbours(np.stack([kept["below"], kept["above"]], 1), spacings) if "below" in kept else None
    return _Cut(kept["patches"], kept.get("average"), around)


def _valid(mask: Mask, size: int) -> Mask:
    """Top-left corners of the patches that lie wholly inside one slice of the mask."""
    height, width = mask.shape
    if min(height, width) < size:
        return np.zeros((0, 0), bool)
    outside = np.zeros((height + 1, width + 1), np.int32)
    np.cumsum(np.cumsum(~mask, axis=0, dtype=np.int32), axis=1, out=outside[1:, 1:])
    return (outside[size:, size:] - outside[:-size, size:] - outside[size:, :-size] + outside[:-size, :-size]) == 0


def _grid(mask: Mask | None, stride: int) -> tuple[slice, slice]:
    """Rows and columns where patches may begin: every `stride`-th from the first that the mask touches."""
    if mask is None or stride == 1:
        return slice(0, None, stride), slice(0, None, stride)
    rows, columns = mask.any((0, 2)), mask.any((0, 1))
    return slice(int(rows.argmax()), None, stride), slice(int(columns.argmax()), None, stride)


def _places(volume: Volume, mask: Mask | None, z: int, size: int, grid: tuple[slice, slice]) -> int:
    if mask is None:
        return int(np.prod([max(0, -(-(length - size + 1) // grid[0].step)) for length in volume.shape[1:]]))
    return int(np.count_nonzero(_valid(mask[z], size)[grid])) if mask[z].any() else 0


def _corners(
    volume: Volume, mask: Mask | None, z: int, size: int, ranks: NDArray[np.int64], grid: tuple[slice, slice]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows, columns = (np.arange(length - size + 1)[one] for length, one in zip(volume.shape[1:], grid, strict=True))
    flat = ranks if mask is None else np.flatnonzero(_valid(mask[z], size)[grid])[ranks]
    return rows[flat // len(columns)], columns[flat % len(columns)]


def _stored(plane: Any, slope: float, intercept: float) -> NDArray[np.int16]:
    values = np.asarray(plane)
    if values.dtype == np.int16 and (slope, intercept) == (1.0, 0.0):
        return values
    scaled = np.rint((values.astype(np.float64) - intercept) / slope)
    return scaled.clip(_INT16.min, _INT16.max).astype(np.int16)
