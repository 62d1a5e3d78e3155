"""The two patch banks that a training needs, made from scans, with a picture of every mask."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import GeometryError, OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.location import Location
from ctloupe.foundation.memory import memory
from ctloupe.images.windows import CLINICAL, MICRO, IntensityWindow
from ctloupe.prepare.masks import kind_of, mask_file, mask_of
from ctloupe.prepare.overlay import mask_overlay_png
from ctloupe.prepare.own_ranges import UNIT, OwnRanges
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.collection import volume_paths
from ctloupe.volume.formats import format_of, parts_read, read
from ctloupe.volume.formats.apart import require_survivable
from ctloupe.volume.geometry import SPACING_TOLERANCE, Triple, relative_difference
from ctloupe.volume.resampling import resample_in_plane
from ctloupe.volume.volume import LazyArray, Volume

Mask = NDArray[np.bool_]

_SHARE_OF_MEMORY = 4
"""A resampled volume that takes more than this part of the free memory is computed slice by slice."""


class WindowRequest(NamedTuple):
    """An intensity window: two values or percentiles, mean ± `high` standard deviations (``zscore``), or `MIN_MAX`."""

    low: float
    high: float
    kind: Literal["values", "percentiles", "zscore", "min-max"] = "values"

    def of(self, volume: Volume, mask: Mask | None) -> IntensityWindow:
        """Return the window as two values, found on a volume where that is asked for."""
        if self.kind == "percentiles":
            return IntensityWindow.from_percentiles(volume, self.low, self.high, mask=mask)
        if self.kind == "zscore":
            return IntensityWindow.from_zscore(volume, self.high, mask=mask)
        if self.kind == "min-max":
            return IntensityWindow.from_extremes(volume)
        return IntensityWindow(self.low, self.high)


def window_request(text: str, option: str = "window") -> WindowRequest:
    """Return the window that a text means: ``LOW,HIGH``, ``zscore:K``, ``min-max`` or, of percentiles, ``LOW%,HIGH%``.

    Parameters
    ----------
    text
        What was given.
    option
        Python name of the option that it was given for, for messages.

    Raises
    ------
    OptionError
        If it is none of these.
    """
    if text == "min-max":
        return MIN_MAX
    kind, _, deviations = text.partition(":")
    low, _, high = text.replace("%", "").partition(",")
    try:
        if kind == "zscore":
            return WindowRequest(0.0, float(deviations or 3), "zscore")
        if text.count("%") in (0, 2):
            return WindowRequest(float(low), float(high), "percentiles" if "%" in text else "values")
    except ValueError:
        pass
    raise OptionError(
        f"`{option}` {text}: expected two numbers as in -1000,2500, zscore:3, min-max, or percentiles as 1%,99%"
    )


CLINICAL_WINDOW = WindowRequest(CLINICAL.low, CLINICAL.high)
MICRO_WINDOW = WindowRequest(MICRO.low, MICRO.high)
MIN_MAX = WindowRequest(0.0, 0.0, "min-max")
"""Each volume has its own window, from its minimum to its maximum."""


@dataclass(frozen=True)
class BankRequest:
    """What `prepare_banks` is asked for."""

    clinical: tuple[Location, ...]
    """Clinical CTs: files, or folders of them."""
    micro: tuple[Location, ...]
    """µCT volumes of other specimens, likewise."""
    scale: int = 8
    """In-plane enlargement: 2, 4, 8 or 16."""
    patch_size: int = 32
    """Side of a clinical patch in pixels; µCT patches are `scale` times larger."""
    per_case: int = 2000
    """Number of patches from each volume."""
    seed: int = 0
    """Seed of the choice of patches."""
    clinical_mask: str = "lungs"
    micro_mask: str = "specimen"
    clinical_window: WindowRequest = CLINICAL_WINDOW
    micro_window: WindowRequest = MICRO_WINDOW
    stride: int | None = None
    """Step of a grid of µCT patches in fine pixels, instead of random places; clinical patches are on the same grid."""
    slice_averages: bool = True
    """Whether µCT patches averaged over the clinical slice thickness are kept too."""
    neighbours: bool = False
    """Whether what lies below and above each patch is kept too: slices of the scans, and µCT at their distances."""
    clinical_spacing: tuple[float, float] | None = None
    """In-plane spacing (y, x) in mm that clinical volumes are brought to; None: they stay as they are."""
    micro_spacing: tuple[float, float] | None = None
    """The same of µCT."""
    voxel_size: Triple | None = None
    """Voxel size (z, y, x) in mm of µCT in TIFF files that do not state it."""
    series: str | None = None
    """UID of the DICOM series where a folder holds several."""


def prepare_banks(
    request: BankRequest, out: Path, say: Callable[[str], None] = lambda line: None, overwrite: bool = False
) -> None:
    """Write ``clinical.bank``, ``micro.bank`` and ``overlays/*.png`` into the folder `out`.

    Parameters
    ----------
    request
        Scans, masks, windows and patch sizes.
    out
        Folder to make; it appears whole or not at all.
    say
        Function that is told one line for each volume, and every warning.
    overwrite
        Whether to replace what is there.

    Raises
    ------
    CtLoupeError
        If a scan cannot be read or masked, or no patch fits into a mask.
    """
    _check(request)
    masks = mask_file(request.clinical_mask), mask_file(request.micro_mask)
    require_apart([*request.clinical, *request.micro, *masks], [out])
    request = replace(
        request,
        clinical=tuple(volume_paths(list(request.clinical))),
        micro=tuple(volume_paths(list(request.micro))),
    )
    require_apart(parts_read([*request.clinical, *request.micro, *masks]), [out])
    for paths, clinical in ((request.clinical, True), (request.micro, False)):
        for path in paths:
            require_survivable(path, **_options(request, path, clinical))
    with replacing(out, overwrite) as temporary:
        (temporary / "overlays").mkdir(parents=True)
        slices = _Slices()
        coarse = _bank(request, "clinical", temporary, say, slices)
        micro = _bank(request, "micro", temporary, say, slices)
        wanted = tuple(value / request.scale for value in coarse)
        if relative_difference(micro, wanted) > SPACING_TOLERANCE:
            say(
                f"warning: µCT voxels of {micro[0]:.4g}×{micro[1]:.4g} mm are not the clinical ones divided by "
                f"{request.scale} ({wanted[0]:.4g}×{wanted[1]:.4g} mm): structures will come out at the wrong size, "
                "as in the papers; give `resample` for the µCT to avoid it"
            )


def _check(request: BankRequest) -> None:
    if request.scale not in (2, 4, 8, 16):
        raise OptionError(f"`scale` {request.scale}: expected 2, 4, 8 or 16")
    if request.patch_size < 4 or request.per_case < 1:
        raise OptionError("`patch_size` must be at least 4 and `per_case` at least 1")
    if request.neighbours and not request.slice_averages:
        raise OptionError("`neighbours` are averages over the slice thickness too: leave `no_thick` out")
    if request.clinical_window.kind == "percentiles":
        raise OptionError("`clinical_window` must be in HU: the enhanced volume is turned back into HU with it")
    for modality, target, mask in (
        ("clinical", request.clinical_spacing, request.clinical_mask),
        ("micro", request.micro_spacing, request.micro_mask),
    ):
        if target is None:
            continue
        if not all(0 < step < math.inf for step in target):
            raise OptionError(f"`resample` {modality}={target[0]:g},{target[1]:g}: expected two lengths in mm above 0")
        if kind_of(mask) == "file":
            raise OptionError(
                f"`{modality}_mask` {mask} is on the volume's own grid and cannot go with `resample` {modality}"
            )
    if request.stride is not None and (request.stride < 1 or request.stride % request.scale):
        raise OptionError(f"`stride` {request.stride}: expected a multiple of the scale {request.scale} in µCT pixels")


@dataclass
class _Slices:
    """Slice distances of the clinical volumes, in mm, as far as they are read."""

    distances: list[float] = field(default_factory=list)


def _bank(
    request: BankRequest, modality: str, out: Path, say: Callable[[str], None], slices: _Slices
) -> tuple[float, float]:
    clinical = modality == "clinical"
    asked = request.clinical_window if clinical else request.micro_window
    ranges = OwnRanges() if asked.kind == "min-max" else None
    window = UNIT if ranges is not None else _bank_window(request, modality, say)
    size = request.patch_size * (1 if clinical else request.scale)
    stride = None if request.stride is None else request.stride // (request.scale if clinical else 1)
    thickness = float(np.mean(slices.distances)) if not clinical and request.slice_averages else None
    cases = _cases(request, modality, window, out, say, slices, ranges)
    bank = PatchBank.sample(
        cases,
        size,
        per_volume=request.per_case,
        window=window,
        seed=request.seed,
        stride=stride,
        thickness_mm=thickness,
        neighbours=None if not request.neighbours else () if clinical else slices.distances,
        mask_kind=kind_of(request.clinical_mask if clinical else request.micro_mask),
    )
    bank = bank if ranges is None else ranges.kept_by(bank)
    bank.save(out / f"{modality}.bank")
    return float(bank.spacing[0]), float(bank.spacing[1])


def _bank_window(request: BankRequest, modality: str, say: Callable[[str], None]) -> IntensityWindow:
    """Window of all volumes of a bank; µCT volumes with windows of their own are brought to the nominal one."""
    if modality == "micro":
        asked = request.micro_window
        return MICRO if asked.kind != "values" else IntensityWindow(asked.low, asked.high)
    asked = request.clinical_window
    if asked.kind == "values":
        return IntensityWindow(asked.low, asked.high)
    # HU mean the same everywhere, and one window must bring every output back: the volumes share mean and spread.
    found = []
    for path in request.clinical:
        volume = _read(request, path, True)
        found.append(asked.of(volume, _mask(request, volume, modality, len(request.clinical))))
    low, high = np.mean([(one.low, one.high) for one in found], axis=0)
    say(f"clinical window by z-score: {low:.0f} … {high:.0f} HU")
    return IntensityWindow(float(low), float(high))


def _cases(
    request: BankRequest,
    modality: str,
    window: IntensityWindow,
    out: Path,
    say: Callable[[str], None],
    slices: _Slices,
    ranges: OwnRanges | None,
) -> Iterator[tuple[str, Volume, Mask | None]]:
    """One volume after the other with its mask, so that they need not all be in memory at once."""
    clinical = modality == "clinical"
    paths = request.clinical if clinical else request.micro
    first: tuple[str, Triple] | None = None
    for index, path in enumerate(paths, start=1):
        volume = _read(request, path, clinical)
        for note in volume.notes:
            say(f"warning: {path.name}: {note}")
        first = first or (path.name, volume.spacing)
        _require_like_spacing(first, path.name, volume, modality)
        if clinical:
            slices.distances.append(volume.spacing[0])
        mask = _mask(request, volume, modality, len(paths))
        if ranges is not None:
            volume, note = ranges.scaled(volume, path.name)
            say(f"{path.name}: {note}")
        elif not clinical and request.micro_window.kind != "values":
            volume, note = _standardised(volume, request.micro_window.of(volume, mask))
            say(f"{path.name}: {note}")
        target = out / "overlays" / f"{modality}-{index:02d}.png"
        mask_overlay_png(volume, np.ones(volume.shape, bool) if mask is None else mask, target, window)
        share = 100.0 if mask is None else 100 * float(mask.mean())
        say(f"{path.name}: {'×'.join(map(str, volume.shape))} voxels, mask {share:.1f}%")
        yield path.name, volume, mask


def _read(request: BankRequest, path: Location, clinical: bool) -> Volume:
    volume = read(path, **_options(request, path, clinical))
    target = request.clinical_spacing if clinical else request.micro_spacing
    if target is None:
        return volume
    voxels = math.prod(volume.shape) * volume.spacing[1] * volume.spacing[2] / (target[0] * target[1])
    large = voxels * volume.data.dtype.itemsize > memory().available / _SHARE_OF_MEMORY
    return resample_in_plane(volume, target, lazily=large)


def _options(request: BankRequest, path: Location, clinical: bool) -> dict[str, Any]:
    """What of the request the format of a file has a use for."""
    takes = format_of(path).takes
    return {
        "series": request.series if "series" in takes else None,
        "voxel_size": request.voxel_size if "voxel_size" in takes and not clinical else None,
    }


def _mask(request: BankRequest, volume: Volume, modality: str, count: int) -> Mask | None:
    asked = request.clinical_mask if modality == "clinical" else request.micro_mask
    if count > 1 and kind_of(asked) == "file":
        raise OptionError(f"`{modality}_mask` {asked}: a mask file goes with a single volume, {count} were given")
    return mask_of(asked, volume, f"{modality}_mask")


def _standardised(volume: Volume, found: IntensityWindow) -> tuple[Volume, str]:
    """Map the values of `found` to the nominal µCT window, so that volumes of unlike scale share one bank."""
    gain = (MICRO.high - MICRO.low) / (found.high - found.low)

    def read_block(block: tuple[slice, slice, slice]) -> NDArray[Any]:
        values = (np.asarray(volume.data[block], dtype=np.float32) - found.low) * gain + MICRO.low
        return np.rint(values).clip(-32768, 32767).astype(np.int16)

    note = f"values {found.low:g} … {found.high:g} taken as {MICRO.low:g} … {MICRO.high:g}"
    return volume.with_data(LazyArray(volume.shape, np.int16, read_block, "µCT volume"), note), note


def _require_like_spacing(first: tuple[str, Triple], name: str, volume: Volume, modality: str) -> None:
    if relative_difference(volume.spacing[1:], first[1][1:]) > SPACING_TOLERANCE:
        raise GeometryError(
            f"{modality} volumes differ in in-plane spacing by more than 10%: {first[0]} has {first[1][1:]} mm, "
            f"{name} has {volume.spacing[1:]} mm; give `resample` to bring them to one spacing"
        )
