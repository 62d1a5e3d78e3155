"""`ctloupe scanner`: what scanner made a scan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctloupe.cli.options import AsJson, Overwrite, Series
from ctloupe.cli.progress import show

if TYPE_CHECKING:
    from ctloupe.prepare.scanner_request import ScannerFindings


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("scanner")(scanner)


def scanner(
    scan: Annotated[Path, typer.Argument(help="Clinical CT: NIfTI, MHA, NRRD, DICOM or OME-Zarr.")],
    micro: Annotated[
        Path | None, typer.Option(help="Bank that 'prepare' made, or its micro.bank: tells blur and intensities.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for scanner.png and scanner.json.")] = None,
    mask: Annotated[str, typer.Option(help="Where to look: lungs, box, none, or a mask file.")] = "lungs",
    patches: Annotated[int, typer.Option(help="Patches to look at.")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice of patches and edges.")] = 0,
    series: Series = None,
    as_json: AsJson = False,
    overwrite: Overwrite = False,
) -> None:
    """Tell point spread, noise, slice profile and intensities of the scanner, and what each was found from.

    Example: ctloupe scanner scan.nii.gz --micro bank -o scanner
    """
    from ctloupe.cli.progress import say
    from ctloupe.prepare.scanner_request import ScannerRequest, find_scanner

    found = find_scanner(ScannerRequest(scan, micro, mask, patches, seed, series, out))
    if out is not None:
        found.write(out, f"{scan.name}: the scanner as found", overwrite)
        say(f"wrote {out / 'scanner.png'} and scanner.json")
    if as_json:
        print(json.dumps(found.as_dict(), indent=2))
        return
    _print(scan, found)


def _print(scan: Path, found: ScannerFindings) -> None:
    from ctloupe.cli.flags import as_flags

    scanner, spectrum = found.scanner, found.scanner.spectrum
    known = {"micro": "spectrum of the µCT", "edges": f"{found.edges.count if found.edges else 0} edges of the scan"}
    show(f"{scan}")
    show(f"  voxel          {' × '.join(f'{edge:.4g}' for edge in scanner.voxel)} mm (z, y, x)")
    if found.blur_from is None:
        show("  point spread   unknown")
    elif scanner.blur == 0:
        show(f"  point spread   too narrow for these voxels to show; from the {known[found.blur_from]}")
    else:
        show(
            f"  point spread   standard deviation {scanner.blur_voxels:.2f} voxels, {scanner.blur:.3f} mm (FWHM "
            f"{scanner.fwhm:.3f} mm) before the voxel; from the {known[found.blur_from]}"
        )
    if found.fit is not None and found.edges is not None:
        show(f"                 {found.edges.count} edges of the scan say {found.edges.blur:.3f} mm")
    show(f"  noise          {scanner.noise:.1f} HU in the smoothest regions")
    show(f"  noise power    f^{spectrum.rise:g} · exp(−(f / {spectrum.roll_off:g})²), f in cycles a voxel")
    show(f"  slice profile  {scanner.slice_profile.thickness:.4g} mm, assumed from the distance of the slices")
    if found.fit is not None:
        show(f"  intensities    HU = {scanner.gain:.5g} · µCT {scanner.offset:+.1f}")
        show(f"  misfit         {found.fit.misfit:.2f} between the spectra of scan and µCT (natural logarithm)")
    for line in found.warnings:
        show(f"  warning        {as_flags(line)}")
