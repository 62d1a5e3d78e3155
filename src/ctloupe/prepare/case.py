"""One volume of a bank from its file to patches: read, masked, pictured, cut."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.location import Location, Remote
from ctloupe.foundation.memory import memory
from ctloupe.images.windows import MICRO, IntensityWindow
from ctloupe.prepare.cutting import Kept, Places, VolumePatches, cut_volume
from ctloupe.prepare.masks import kind_of, mask_of
from ctloupe.prepare.overlay import Montage
from ctloupe.prepare.own_ranges import OwnRanges
from ctloupe.volume.formats import format_of, read
from ctloupe.volume.geometry import GRID_SPACING_TOLERANCE, Triple
from ctloupe.volume.held import held
from ctloupe.volume.resampling import resample_in_plane
from ctloupe.volume.volume import LazyArray, Volume
from ctloupe.volume.watched import watched

if TYPE_CHECKING:
    from ctloupe.prepare.banks import BankRequest

Mask = NDArray[np.bool_]

_SHARE_OF_MEMORY: Final = 4
"""A process keeps at most this part of its share of the free memory of a volume; what is larger is read anew."""
_MASKING: Final = 0.6
"""Share of the work on a volume that is done when its mask is found."""
_PASSES: Final = 2
"""Times that a volume is gone through before patches are cut, and again while they are."""


@dataclass(frozen=True)
class BankVolume:
    """A volume of a bank, and how it is read.

    Attributes
    ----------
    request
        What the bank is made of.
    modality
        ``clinical`` or ``micro``.
    number
        Number of the volume among those of its modality.
    """

    request: BankRequest
    modality: str
    number: int

    @property
    def path(self) -> Location:
        """File or folder of the volume."""
        return self._paths[self.number]

    @property
    def name(self) -> str:
        """Name of the volume."""
        return self.path.name

    @property
    def clinical(self) -> bool:
        """Whether it is a clinical CT."""
        return self.modality == "clinical"

    @property
    def _paths(self) -> tuple[Location, ...]:
        return self.request.clinical if self.clinical else self.request.micro

    def read(self) -> tuple[Volume, tuple[str, ...]]:
        """Return the volume, at the spacing that it is brought to, and what there is to say of it."""
        volume, target = read(self.path, **options_of(self.request, self.path, self.clinical)), self._target
        lines = tuple(f"warning: {self.name}: {note}" for note in volume.notes)
        most = memory().available // (_SHARE_OF_MEMORY * (self.request.processes or 1))
        if target is None:
            return held(volume, most), lines
        level = _level(self.path, volume, target)
        if level is not volume:
            size = "×".join(f"{step:.4g}" for step in level.spacing)
            lines += (f"{self.name}: its coarser copy of {size} mm is read",)
        voxels = math.prod(level.shape) * level.spacing[1] * level.spacing[2] / (target[0] * target[1])
        large = voxels * level.data.dtype.itemsize > most
        return resample_in_plane(held(level, most), target, lazily=large), lines

    def mask(self, volume: Volume) -> Mask | None:
        """Return its mask.

        Raises
        ------
        OptionError
            If a mask file is given for several volumes.
        """
        asked, count = self._asked_mask, len(self._paths)
        if count > 1 and kind_of(asked) == "file":
            raise OptionError(
                f"`{self.modality}_mask` {asked}: a mask file goes with a single volume, {count} were given"
            )
        return mask_of(asked, volume, f"{self.modality}_mask")

    @property
    def _asked_mask(self) -> str:
        return self.request.clinical_mask if self.clinical else self.request.micro_mask

    @property
    def _target(self) -> tuple[float, float] | None:
        return self.request.clinical_spacing if self.clinical else self.request.micro_spacing


@dataclass(frozen=True)
class Cutting:
    """A volume to cut patches out of.

    Attributes
    ----------
    volume
        Which.
    window
        Window of the bank.
    places, kept
        Which patches, and what beside them.
    """

    volume: BankVolume
    window: IntensityWindow
    places: Places
    kept: Kept


@dataclass(frozen=True)
class CutCase:
    """What was made of a volume.

    Attributes
    ----------
    patches
        The patches.
    spacing
        Its spacing.
    lines
        What there is to say.
    picture
        PNG of its mask.
    ranges
        Its own range, where volumes are scaled by that.
    """

    patches: VolumePatches
    spacing: Triple
    lines: tuple[str, ...]
    picture: bytes
    ranges: tuple[IntensityWindow, ...]


def cut_case(asked: Cutting, share: Callable[[float], None]) -> CutCase:
    """Mask a volume and cut its patches; `share` is told how much of that is done."""
    with ThreadPoolExecutor(1) as beside:
        return _cut_case(asked, share, beside)


def _cut_case(asked: Cutting, share: Callable[[float], None], beside: Executor) -> CutCase:
    of, request = asked.volume, asked.volume.request
    volume, lines = of.read()
    spacing = volume.spacing
    montage = beside.submit(Montage, volume)
    progress = _Passes(volume.shape[0], share)
    volume = watched(volume, progress.read)
    mask = of.mask(volume)
    ranges = OwnRanges()
    window = request.clinical_window if of.clinical else request.micro_window
    if window.kind == "min-max":
        volume, note = ranges.scaled(volume, of.name)
        lines += (f"{of.name}: {note}",)
    elif not of.clinical and window.kind != "values":
        volume, note = _standardised(volume, window.of(volume, mask))
        lines += (f"{of.name}: {note}",)
    everywhere = np.broadcast_to(True, volume.shape)
    picture = beside.submit(montage.result().overlay(volume, everywhere if mask is None else mask, asked.window))
    progress.cut()
    patches = cut_volume(of.number, of.name, volume, mask, asked.places, asked.kept, asked.window)
    part = 100 * patches.provenance["mask_share"]
    lines += (f"{of.name}: {'×'.join(map(str, volume.shape))} voxels, mask {part:.1f}%",)
    return CutCase(patches, spacing, lines, picture.result(), tuple(ranges.found))


def window_of_case(volume: BankVolume, share: Callable[[float], None]) -> IntensityWindow:
    """Return the window that is asked for of clinical volumes, as it is found on one of them."""
    found, _ = volume.read()
    found = watched(found, _Passes(found.shape[0], share).read)
    return volume.request.clinical_window.of(found, volume.mask(found))


def options_of(request: BankRequest, path: Location, clinical: bool) -> dict[str, Any]:
    """Return what of the request the format of a file has a use for."""
    takes = format_of(path).takes
    return {
        "series": request.series if "series" in takes else None,
        "voxel_size": request.voxel_size if "voxel_size" in takes and not clinical else None,
    }


class _Passes:
    """Tells the share of the work by the slices that were read: a volume is gone through about so many times."""

    def __init__(self, depth: int, share: Callable[[float], None]) -> None:
        self._slices, self._share = depth * _PASSES, share
        self._begun, self._end, self._read = 0.0, _MASKING, 0

    def read(self, slices: int) -> None:
        self._read += slices
        self._share(self._begun + (self._end - self._begun) * min(1.0, self._read / self._slices))

    def cut(self) -> None:
        self._begun, self._end, self._read = _MASKING, 1.0, 0
        self._share(self._begun)


def _level(path: Location, volume: Volume, target: tuple[float, float]) -> Volume:
    """Return the coarsest stored copy that is no coarser than the wanted spacing; across slices no coarser either."""
    wanted = max(volume.spacing[0], min(target)), *target
    best = volume
    kind = format_of(path)
    levels = kind.coarser_remote(path, volume) if isinstance(path, Remote) else kind.coarser(path, volume)
    for level in levels:
        steps = zip(level.spacing, wanted, strict=True)
        if all(step <= most * (1 + GRID_SPACING_TOLERANCE) for step, most in steps):
            best = level
    return best


def _standardised(volume: Volume, found: IntensityWindow) -> tuple[Volume, str]:
    """Map the values of `found` to the nominal µCT window, so that volumes of unlike scale share one bank."""
    gain = (MICRO.high - MICRO.low) / (found.high - found.low)

    def read_block(block: tuple[slice, slice, slice]) -> NDArray[Any]:
        values = (np.asarray(volume.data[block], dtype=np.float32) - found.low) * gain + MICRO.low
        return np.rint(values).clip(-32768, 32767).astype(np.int16)

    note = f"values {found.low:g} … {found.high:g} taken as {MICRO.low:g} … {MICRO.high:g}"
    return volume.with_data(LazyArray(volume.shape, np.int16, read_block, "µCT volume"), note), note
