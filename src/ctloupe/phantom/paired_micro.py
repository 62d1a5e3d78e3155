"""A real µCT as truth: a scanner drawn at random makes the clinical scan that belongs to it.

What is made here is no anatomy of ours, so a method that has learnt how phantoms are drawn gains nothing by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ctloupe.foundation.errors import FileError, GeometryError, OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.foundation.progress import tracked
from ctloupe.foundation.records import save_record
from ctloupe.images.windows import IntensityWindow
from ctloupe.phantom.clinical import scanned
from ctloupe.scanner.noise import NoiseSpectrum
from ctloupe.scanner.scanner import Scanner
from ctloupe.volume.digest import digest_of
from ctloupe.volume.formats import parts_read, read, write
from ctloupe.volume.geometry import Triple
from ctloupe.volume.volume import Volume

RECORD: Final = "paired-micro.json"
"""Name of the record beside the volumes."""

VOLUMES: Final = ("clinical", "truth")
"""Names of the volumes, which are ``.nii.gz``."""

BLUR_VOXELS: Final = (0.25, 1.1)
NOISE_HU: Final = (2.0, 60.0)
RISE: Final = (0.0, 1.0)
ROLL_OFF: Final = (0.2, 1.0)
"""What scanners are drawn from, uniformly and each number for itself: the standard deviation of the point spread in
clinical voxels, the noise in HU, and its spectrum (see `NoiseSpectrum`) from white to that of a sharp kernel."""


@dataclass(frozen=True)
class PairedMicroRequest:
    """What `pair_micro` is asked for; the names are those of the command line's options.

    Attributes
    ----------
    from_micro
        A µCT volume.
    seed
        Seed of the scanner and of its noise.
    scale, slices
        Fine voxels in a clinical one in y and x, and along z.
    planes : (first, end)
        Slices of the µCT that are used, for instance those that no training has seen; None: all.
    micro_window
        Values of the µCT that become the two of `hu`; None: its 1st and 99th percentile.
    hu : (low, high)
        Hounsfield units that a µCT, which has none, is given by a straight line; nothing is clipped.
    voxel_size : (z, y, x) in mm
        Edges of the voxels of a µCT in TIFF files that do not state them.
    out
        Folder that the pair is to be written to; None: nowhere.

    Raises
    ------
    OptionError
        If a number is out of range.
    """

    from_micro: Path
    seed: int = 0
    scale: int = 8
    slices: int = 8
    planes: tuple[int, int] | None = None
    micro_window: tuple[float, float] | None = None
    hu: tuple[float, float] = (-1000.0, 500.0)
    voxel_size: Triple | None = None
    out: Path | None = None

    def __post_init__(self) -> None:
        for name in ("scale", "slices"):
            if getattr(self, name) < 1:
                raise OptionError(f"`{name}` {getattr(self, name)}: expected at least 1 fine voxel")
        if self.seed < 0:
            raise OptionError(f"`seed` {self.seed}: expected 0 or more")
        if not all(map(math.isfinite, self.hu)) or self.hu[0] >= self.hu[1]:
            raise OptionError(f"`hu` {self.hu[0]:g},{self.hu[1]:g}: expected two numbers, the lower one first")


@dataclass(frozen=True)
class PairedMicro:
    """A µCT in HU, and the clinical scan that a drawn scanner made of it.

    Attributes
    ----------
    clinical
        The scan, int16 HU.
    truth
        The µCT by a straight line, int16 HU on the fine grid.
    scanner
        What made the scan.
    record
        Seed, source, line and scanner as plain data.
    """

    clinical: Volume
    truth: Volume
    scanner: Scanner
    record: dict[str, Any]

    def write(self, out: Path, overwrite: bool = False) -> None:
        """Write ``clinical.nii.gz``, ``truth.nii.gz`` and ``paired-micro.json``.

        Raises
        ------
        FileError
            If a file exists without `overwrite` or cannot be written.
        """
        files = {out / f"{name}.nii.gz": getattr(self, name) for name in VOLUMES}
        there = [file for file in (*files, out / RECORD) if file.exists()]
        if there and not overwrite:
            raise FileError(f"{there[0]}: exists already; give `overwrite` or another `out`")
        for file, volume in tracked(list(files.items()), "writing"):
            write(volume, file, overwrite=overwrite)
        save_record(out / RECORD, self.record, overwrite)


def drawn_scanner(voxel: Triple, seed: int) -> Scanner:
    """Draw a clinical scanner with voxels of (z, y, x) mm; one seed gives one scanner."""
    random = np.random.default_rng((seed, 4))
    blur, noise, rise, roll_off = (random.uniform(*one) for one in (BLUR_VOXELS, NOISE_HU, RISE, ROLL_OFF))
    return Scanner(voxel, blur * voxel[2], noise, NoiseSpectrum(rise, roll_off))


def pair_micro(request: PairedMicroRequest) -> PairedMicro:
    """Scan a real µCT with a clinical scanner that is drawn at random; the µCT is held in memory.

    What does not fill whole clinical voxels at the far ends of the volume is left out.

    Raises
    ------
    FileError, GeometryError
        If the µCT cannot be read, is what would be written, or is smaller than 8 clinical voxels in the plane.
    OptionError
        If `planes` lies outside of it.
    """
    if request.out is not None:
        require_apart(
            parts_read([request.from_micro]), [request.out / one for one in (*(f"{n}.nii.gz" for n in VOLUMES), RECORD)]
        )
    source = read(request.from_micro, voxel_size=request.voxel_size)
    micro = _whole_voxels(source, request)
    values = np.asarray(micro.data, np.float32)
    low, high = request.micro_window or _ends(micro)
    window = IntensityWindow(low, high)
    gain = (request.hu[1] - request.hu[0]) / (window.high - window.low)
    limits = np.iinfo(np.int16)
    hu = np.rint((values - window.low) * gain + request.hu[0]).clip(limits.min, limits.max).astype(np.int16)
    line = f"µCT values {low:g} and {high:g} taken for {request.hu[0]:g} and {request.hu[1]:g} HU"
    truth = micro.with_data(hu, line, modality="unknown", units="HU")
    z, y, x = truth.spacing
    scanner = drawn_scanner((z * request.slices, y * request.scale, x * request.scale), request.seed)
    done = (
        f"simulated clinical CT: point spread {scanner.fwhm:.3g} mm, noise {scanner.noise:.3g} HU, seed {request.seed}"
    )
    record = {
        "seed": request.seed,
        "micro": {"digest": digest_of(micro), "shape": list(micro.shape), "spacing_mm": list(micro.spacing)},
        "planes": None if request.planes is None else list(request.planes),
        "scale": request.scale,
        "slices": request.slices,
        "intensities": {"micro": [low, high], "hu": list(request.hu)},
        "scanner": scanner.as_dict(),
        "notice": RESEARCH_NOTICE,
    }
    return PairedMicro(scanned(truth, scanner, request.seed, done), truth, scanner, record)


def _ends(micro: Volume) -> tuple[float, float]:
    found = IntensityWindow.from_percentiles(micro, 1, 99)
    return found.low, found.high


def _whole_voxels(micro: Volume, request: PairedMicroRequest) -> Volume:
    first, end = request.planes or (0, micro.shape[0])
    if not 0 <= first < end <= micro.shape[0]:
        raise OptionError(f"`planes` {first}:{end}: the µCT has slices 0:{micro.shape[0]}")
    depth = (end - first) // request.slices * request.slices
    height, width = (length // request.scale * request.scale for length in micro.shape[1:])
    if depth == 0 or min(height, width) < _LEAST * request.scale:
        raise GeometryError(
            f"{request.from_micro}: {end - first}×{micro.shape[1]}×{micro.shape[2]} voxels make no scan of at least "
            f"1×{_LEAST}×{_LEAST}; give a larger µCT or a smaller `scale` or `slices`"
        )
    return micro.crop(slice(first, first + depth), slice(0, height), slice(0, width))


_LEAST: Final = 8
"""Clinical voxels across: below, not even one tile of the consistency with the scan fits in."""
