"""The two patch banks that a training needs, made from scans, with a picture of every mask."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.beside import cores
from ctloupe.foundation.errors import GeometryError, OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.location import Location, Remote
from ctloupe.foundation.memory import memory
from ctloupe.foundation.progress import Progress, Tell, underway
from ctloupe.foundation.workers import Workers
from ctloupe.images.windows import CLINICAL, MICRO, IntensityWindow
from ctloupe.prepare.case import BankVolume, CutCase, Cutting, cut_case, options_of, window_of_case
from ctloupe.prepare.cutting import Kept, Places
from ctloupe.prepare.masks import kind_of, mask_file
from ctloupe.prepare.own_ranges import UNIT, OwnRanges
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.collection import volume_paths
from ctloupe.volume.formats import parts_read
from ctloupe.volume.formats.apart import require_survivable
from ctloupe.volume.geometry import SPACING_TOLERANCE, Triple, relative_difference
from ctloupe.volume.volume import Volume

Mask = NDArray[np.bool_]

_WORTH_A_PROCESS: Final = 1 << 26
"""Bytes of scans below which one process has done before others have begun."""
_UNPACKED: Final = 6
"""Memory that a volume takes at most, in its sizes on the disk: unpacked, masked, and its patches."""
_OF_A_PROCESS: Final = 300 << 20
"""Memory in bytes of a process that does nothing yet."""


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
    processes: int | None = 1
    """Processes that share the volumes; None: as many as cores and memory allow. The patches do not depend on it."""
    scheduler: str | None = None
    """Address of a Dask scheduler whose workers do the work, one volume each; they read the files themselves."""


def prepare_banks(
    request: BankRequest,
    out: Path,
    say: Callable[[str], None] = lambda line: None,
    overwrite: bool = False,
    progress: Progress | None = None,
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
    progress
        Told how many volumes are done.

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
            require_survivable(path, **options_of(request, path, clinical))
    request = replace(request, processes=_processes(request)) if request.scheduler is None else _for_others(request)
    count = len(request.clinical) + len(request.micro)
    workers = Workers(request.processes or 1, request.scheduler)
    with replacing(out, overwrite) as temporary, underway(progress, "preparing", count) as tell:
        (temporary / "overlays").mkdir(parents=True)
        work = _Work(request, temporary, workers, say, tell)
        scans, distances = _bank(work, "clinical", (), 0)
        specimens, _ = _bank(work, "micro", distances, len(request.clinical))
        coarse, micro = scans.spacing, specimens.spacing
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
    if request.processes is not None and request.processes < 1:
        raise OptionError(f"`processes` {request.processes}: expected at least 1")
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


@dataclass(frozen=True)
class _Work:
    """Banks that are being made: of what, where, by whom, and who is told."""

    request: BankRequest
    out: Path
    workers: Workers
    say: Callable[[str], None]
    tell: Tell

    def volumes(self, modality: str) -> list[BankVolume]:
        """Return the volumes of a modality, in their order."""
        paths = self.request.clinical if modality == "clinical" else self.request.micro
        return [BankVolume(self.request, modality, number) for number in range(len(paths))]


def _bank(work: _Work, modality: str, distances: Sequence[float], done: int) -> tuple[PatchBank, list[float]]:
    """Write the bank of a modality, and return it with the slice distances of its volumes.

    `distances` are those of the clinical volumes, and `done` volumes are finished already.
    """
    request, clinical = work.request, modality == "clinical"
    asked = request.clinical_window if clinical else request.micro_window
    window = UNIT if asked.kind == "min-max" else _bank_window(work, modality)
    size = request.patch_size * (1 if clinical else request.scale)
    stride = None if request.stride is None else request.stride // (request.scale if clinical else 1)
    thickness = float(np.mean(distances)) if not clinical and request.slice_averages else None
    kept = Kept(thickness, None if not request.neighbours else tuple(distances))
    places = Places(size, request.per_case, request.seed, stride)
    tasks = [Cutting(volume, window, places, kept) for volume in work.volumes(modality)]
    cases: list[CutCase] = []
    for task, case in zip(
        tasks, work.workers.each(cut_case, tasks, lambda now: work.tell(done + now, modality)), strict=True
    ):
        cases.append(case)
        for line in case.lines:
            work.say(line)
        _require_like_spacing(tasks[0].volume.name, cases[0].spacing, task.volume.name, case.spacing, modality)
        (work.out / "overlays" / f"{modality}-{len(cases):02d}.png").write_bytes(case.picture)
    kind = kind_of(request.clinical_mask if clinical else request.micro_mask)
    bank = PatchBank.joined([case.patches for case in cases], window, kind)
    if asked.kind == "min-max":
        bank = OwnRanges([one for case in cases for one in case.ranges]).kept_by(bank)
    bank.save(work.out / f"{modality}.bank")
    return bank, [case.spacing[0] for case in cases]


def _bank_window(work: _Work, modality: str) -> IntensityWindow:
    """Window of all volumes of a bank; µCT volumes with windows of their own are brought to the nominal one."""
    if modality == "micro":
        asked = work.request.micro_window
        return MICRO if asked.kind != "values" else IntensityWindow(asked.low, asked.high)
    asked = work.request.clinical_window
    if asked.kind == "values":
        return IntensityWindow(asked.low, asked.high)
    # HU mean the same everywhere, and one window must bring every output back: the volumes share mean and spread.
    found = list(work.workers.each(window_of_case, work.volumes(modality)))
    low, high = np.mean([(one.low, one.high) for one in found], axis=0)
    work.say(f"clinical window by z-score: {low:.0f} … {high:.0f} HU")
    return IntensityWindow(float(low), float(high))


def _require_like_spacing(first: str, wanted: Triple, name: str, found: Triple, modality: str) -> None:
    if relative_difference(found[1:], wanted[1:]) > SPACING_TOLERANCE:
        raise GeometryError(
            f"{modality} volumes differ in in-plane spacing by more than 10%: {first} has {wanted[1:]} mm, "
            f"{name} has {found[1:]} mm; give `resample` to bring them to one spacing"
        )


def _for_others(request: BankRequest) -> BankRequest:
    """Return the request as workers take it, whose working folders are others."""
    named = (request.clinical_mask, request.micro_mask)
    clinical_mask, micro_mask = (str(Path(one).absolute()) if kind_of(one) == "file" else one for one in named)
    return replace(
        request,
        clinical=tuple(path.absolute() for path in request.clinical),
        micro=tuple(path.absolute() for path in request.micro),
        clinical_mask=clinical_mask,
        micro_mask=micro_mask,
        processes=1,
    )


def _processes(request: BankRequest) -> int:
    """How many processes the volumes are shared by: as many as cores and memory allow, where nobody said."""
    if request.processes is not None:
        return request.processes
    sizes = sorted(_bytes(path) for path in (*request.clinical, *request.micro))
    if sum(sizes) < _WORTH_A_PROCESS:
        return 1
    # The largest ones may be in work at the same time.
    needed = [_OF_A_PROCESS + _UNPACKED * size for size in reversed(sizes)]
    fitting = np.cumsum(needed) < memory().available / 2
    return max(1, min(cores(), int(fitting.sum())))


def _bytes(path: Location) -> int:
    if isinstance(path, Remote):
        # What is on a server is read as its parts are needed; only its size in voxels could say more.
        return 0
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(one.stat().st_size for one in files if one.is_file())
