"""What scanner made this scan? Found from its patches, from its edges, and where there is one, from a µCT bank."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.atomic import require_new
from ctloupe.foundation.errors import FileError, IntensityError, OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.foundation.records import save_record
from ctloupe.images.windows import CLINICAL, IntensityWindow
from ctloupe.prepare.masks import mask_file, mask_of
from ctloupe.prepare.patches import RECORD_NAME, PatchBank
from ctloupe.scanner.edges import EdgeBlur, blur_from_edges
from ctloupe.scanner.estimate import DISAGREEMENT, LARGEST_MISFIT, ScannerEstimate, estimate_scanner
from ctloupe.scanner.estimate_noise import NoiseEstimate, estimate_noise
from ctloupe.scanner.scanner import Scanner
from ctloupe.volume.formats import detect, parts_read, read
from ctloupe.volume.geometry import relative_difference
from ctloupe.volume.volume import Volume

PICTURE_NAME: Final = "scanner.png"
FINDINGS_NAME: Final = "scanner.json"
_SIDE: Final = 32
_SCALE_TOLERANCE: Final = 0.05
"""Largest relative difference of a ratio of pixels from the whole number that it is taken as, without a warning."""


@dataclass(frozen=True)
class ScannerRequest:
    """What `find_scanner` is asked for.

    Attributes
    ----------
    scan
        Clinical CT in any readable format.
    micro
        µCT bank, or the folder that ``ctloupe prepare`` made, with its clinical bank's window.
    mask
        Where patches are cut: ``lungs``, ``box``, ``none``, or a mask file on the grid of the scan.
    patches
        Number of patches looked at, of either modality.
    seed
        Seed of the choice of patches and edges.
    series
        Number or UID of the DICOM series, where a folder holds several.
    out
        Folder that the findings are to be written to; None: nowhere.
    """

    scan: Path
    micro: Path | None = None
    mask: str = "lungs"
    patches: int = 256
    seed: int = 0
    series: str | None = None
    out: Path | None = None


@dataclass(frozen=True)
class ScannerFindings:
    """A scanner, and what each part of it was found from.

    Attributes
    ----------
    scanner
        Record in mm and HU; its blur is that of the µCT where there is one, else of the edges, else 0.
    blur_from
        ``micro``, ``edges``, or None where the blur is unknown.
    noise
        Estimate from the smoothest regions of the scan alone.
    edges
        Estimate from edges of the scan alone; None where it shows too few.
    fit
        Fit to the spectrum of the µCT, in units of the windows; None without µCT.
    warnings
        What to distrust, in words.
    """

    scanner: Scanner
    blur_from: str | None
    noise: NoiseEstimate
    edges: EdgeBlur | None
    fit: ScannerEstimate | None
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as plain data; what is unknown is None."""
        record = self.scanner.as_dict()
        if self.blur_from is None:
            record |= dict.fromkeys(("blur_mm", "blur_voxels", "fwhm_mm"))
        if self.fit is None:
            record |= dict.fromkeys(("gain", "offset_hu"))
        scan_noise = {"noise_hu": self.noise.noise, "rise": self.noise.spectrum.rise}
        scan_noise |= {"roll_off": self.noise.spectrum.roll_off, "misfit": self.noise.misfit}
        edges = None
        if self.edges is not None:
            edges = {"blur_mm": self.edges.blur, "median_blur_mm": self.edges.median, "edges": self.edges.count}
        return {
            "scanner": record,
            "blur_from": self.blur_from,
            "noise_from": "smooth regions" if self.fit is None else "smooth regions, spectrum with micro",
            "noise_of_scan": scan_noise,
            "edges_of_scan": edges,
            "misfit_to_micro": None if self.fit is None else self.fit.misfit,
            "warnings": list(self.warnings),
            "notice": RESEARCH_NOTICE,
        }

    def write(self, folder: Path, title: str, overwrite: bool = False) -> None:
        """Write ``scanner.json`` and ``scanner.png`` into a folder.

        Raises
        ------
        FileError
            If one of them exists without `overwrite` or cannot be written.
        """
        from ctloupe.scanner.picture import scanner_png

        require_new(folder, overwrite, PICTURE_NAME, FINDINGS_NAME)
        known = self.blur_from is not None
        scanner_png(self.scanner, self.noise, folder / PICTURE_NAME, title, blur_known=known, overwrite=overwrite)
        save_record(folder / FINDINGS_NAME, self.as_dict(), overwrite)


def find_scanner(request: ScannerRequest) -> ScannerFindings:
    """Describe the scanner of a scan.

    Raises
    ------
    CtLoupeError
        If the scan, the mask or the bank cannot be used; one line says why.
    """
    if request.patches < 1:
        raise OptionError(f"`patches` {request.patches}: expected a positive number")
    if request.out is not None:
        made = [request.out / name for name in (PICTURE_NAME, FINDINGS_NAME)]
        require_apart(parts_read([request.scan, request.micro, mask_file(request.mask)]), made)
    scan = read(request.scan, series=request.series if detect(request.scan) == "dicom" else None)
    micro, window = (None, CLINICAL) if request.micro is None else _micro_bank(request.micro)
    mask = mask_of(request.mask, scan)
    values = _patches(request, scan, mask, _SIDE, window)
    try:
        noise = estimate_noise(values)
    except ValueError as error:
        raise IntensityError(f"{request.scan}: {error}; give another `mask`") from error
    edges = blur_from_edges(scan, request.seed)
    if micro is None:
        return _alone(scan, noise, edges)
    return _with_micro(request, scan, mask, noise, edges, micro, window)


def _alone(scan: Volume, noise: NoiseEstimate, edges: EdgeBlur | None) -> ScannerFindings:
    said = ["noise is that of the smoothest regions: where everything has texture it comes out too high"]
    if edges is None:
        said.append("the scan shows too few clean edges between air and tissue to tell its blur; give `micro`")
    elif edges.blur == 0:
        said.append("edges are as steep as voxels allow: a sharpening kernel, whose overshoot is not modelled")
    blur = 0.0 if edges is None else edges.blur
    scanner = Scanner(scan.spacing, blur, noise.noise, noise.spectrum)
    return ScannerFindings(scanner, None if edges is None else "edges", noise, edges, None, tuple(said))


def _with_micro(
    request: ScannerRequest,
    scan: Volume,
    mask: NDArray[np.bool_] | None,
    noise: NoiseEstimate,
    edges: EdgeBlur | None,
    micro: PatchBank,
    window: IntensityWindow,
) -> ScannerFindings:
    scale, said = _scale(scan, micro)
    side = micro.patch_size // scale
    if side < 16:
        raise OptionError(
            f"`micro` {request.micro}: patches of {micro.patch_size} pixels are {side} voxels of the scan wide, at "
            "least 16 are needed; prepare larger ones"
        )
    stored = micro.patches if micro.slice_averages is None else micro.slice_averages
    chosen = stored[:: max(1, len(stored) // request.patches)][: request.patches, : side * scale, : side * scale]
    fine = replace(micro, patches=chosen, slice_averages=None)
    if micro.slice_averages is None and scan.spacing[0] > 1.01 * micro.spacing[0]:
        said.append(
            "the bank holds no µCT averaged over the slice thickness: the scan will seem more blurred than it is"
        )
    clinical = window.to_unit(_patches(request, scan, mask, side, window))
    try:
        fit = estimate_scanner(clinical, fine.unit()[:, 0], scale)
    except ValueError as error:
        raise IntensityError(f"{request.scan} and `micro` {request.micro}: {error}") from error
    scanner = fit.scanner(scan.spacing, window, micro.window)
    if fit.misfit > LARGEST_MISFIT:
        said.append(f"the spectra of scan and µCT do not fit (misfit {fit.misfit:.2f}): do they show the same tissue?")
    if edges is not None and abs(edges.blur - scanner.blur) > DISAGREEMENT * scan.spacing[2]:
        said.append(
            f"edges of the scan say a blur of {edges.blur:.2f} mm, its spectrum with the µCT {scanner.blur:.2f} mm"
        )
    return ScannerFindings(scanner, "micro", noise, edges, fit, tuple(said))


def _micro_bank(path: Path) -> tuple[PatchBank, IntensityWindow]:
    """The µCT bank and the clinical window that goes with it."""
    if (path / RECORD_NAME).is_file():
        return PatchBank.load(path), CLINICAL
    if (path / "micro.bank").is_dir():
        clinical = PatchBank.load(path / "clinical.bank") if (path / "clinical.bank").is_dir() else None
        if clinical is not None and clinical.scaling == "min-max":
            raise OptionError(
                f"`micro` {path}: its clinical volumes were scaled each by its own range, so that they have no HU in "
                "common, in which a scanner is described; make a bank with 'ctloupe prepare' and `clinical_window` "
                "LOW,HIGH"
            )
        return PatchBank.load(path / "micro.bank"), CLINICAL if clinical is None else clinical.window
    raise FileError(f"`micro` {path}: no µCT bank is here; make one with 'ctloupe prepare'")


def _scale(scan: Volume, micro: PatchBank) -> tuple[int, list[str]]:
    ratio = scan.spacing[2] / micro.spacing[1]
    scale = max(1, round(ratio))
    if scale < 2:
        raise OptionError(
            f"`micro`: µCT pixels of {micro.spacing[1]:.4g} mm where half of the scan's {scan.spacing[2]:.4g} mm or "
            "less are needed; give the bank of a finer µCT"
        )
    if relative_difference((ratio,), (scale,)) <= _SCALE_TOLERANCE:
        return scale, []
    return scale, [
        f"pixels of the scan are {ratio:.2f} times those of the µCT, taken as {scale}: blur is off by as much"
    ]


def _patches(
    request: ScannerRequest, scan: Volume, mask: NDArray[np.bool_] | None, side: int, window: IntensityWindow
) -> NDArray[np.float32]:
    """Patches of the scan in HU, ``(n, side, side)``."""
    bank = PatchBank.sample([(request.scan.name, scan, mask)], side, request.patches, window, request.seed)
    return np.stack([bank.values(index) for index in range(len(bank))])
