"""`ctloupe inspect`: what is in a file."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ctloupe.cli.options import AsJson, Series, VoxelSize, as_voxel_size
from ctloupe.cli.progress import show


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("inspect")(inspect)


def inspect(
    path: Annotated[
        str, typer.Argument(path_type=str, help="Volume: NIfTI, MHA, NRRD, DICOM, TIFF or OME-Zarr; or s3://… of it.")
    ],
    series: Series = None,
    voxel_size: VoxelSize = None,
    as_json: AsJson = False,
) -> None:
    """Show format, shape, spacing, orientation, intensities and anything that looks wrong.

    Example: ctloupe inspect scan.nii.gz --json
    """
    from ctloupe.cli.progress import ConsoleProgress
    from ctloupe.foundation.location import location
    from ctloupe.foundation.progress import shown_on
    from ctloupe.volume.formats import detect, read
    from ctloupe.volume.summary import summarise

    place = location(path)
    kind = detect(place)
    with shown_on(ConsoleProgress()):
        summary = summarise(read(place, series=series, voxel_size=as_voxel_size(voxel_size)), place)
    facts = summary.as_dict() | {"format": kind}
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    show(f"{place}: {kind}")
    show(f"  shape        {' × '.join(map(str, summary.shape))} (z, y, x), {summary.dtype}")
    show(f"  spacing      {' × '.join(f'{value:.6g}' for value in summary.spacing)} mm")
    show(f"  extent       {' × '.join(f'{value:.4g}' for value in summary.extent_mm)} mm")
    show(f"  orientation  {summary.orientation} (index axes x, y, z)")
    show(f"  origin       {', '.join(f'{value:.6g}' for value in summary.origin)} mm (x, y, z; LPS)")
    for number, axis in enumerate("xyz"):
        along = ", ".join(f"{round(row[number], 6) + 0.0:.6g}" for row in summary.direction)
        show(f"  {'direction' if not number else '':12} {axis} runs along ({along})")
    show(f"  values       {summary.minimum:g} to {summary.maximum:g}, units {summary.units}")
    shown = ", ".join(f"{percent:g}%: {value:g}" for percent, value in summary.percentiles.items())
    show(f"  percentiles  {shown}")
    show(f"  modality     {summary.modality}; looks {summary.modality_guess} ({summary.modality_reason})")
    for warning in summary.warnings:
        show(f"  warning      {warning}")
