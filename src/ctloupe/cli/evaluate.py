"""`ctloupe evaluate`: numbers and a page for enhanced volumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctloupe.cli.flags import as_flags
from ctloupe.cli.options import (
    AsJson,
    Overwrite,
    Series,
    as_location,
    as_voxel_size,
    named_locations,
    named_paths,
    numbers,
)
from ctloupe.cli.progress import show

if TYPE_CHECKING:
    from ctloupe.evaluate.comparison import Comparison


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("evaluate")(evaluate)


def evaluate(
    input_: Annotated[
        str | None, typer.Option("--input", path_type=str, help="The clinical CT that was enhanced.")
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option(help="An enhanced volume, or NAME=volume; several may be given.")
    ] = None,
    other_input: Annotated[
        str | None,
        typer.Option(path_type=str, help="Another reconstruction of the same acquisition, for --protocol kernel-pair."),
    ] = None,
    other_output: Annotated[
        list[str] | None, typer.Option(help="What was made of --other-input, under the NAME of its --output.")
    ] = None,
    truth: Annotated[str | None, typer.Option(path_type=str, help="The truth on the fine grid, when known.")] = None,
    labels: Annotated[
        str | None,
        typer.Option(path_type=str, help="Labels on the grid of the truth: errors by tissue, and structures."),
    ] = None,
    uncertainty: Annotated[
        str | None, typer.Option(path_type=str, help="Standard deviation that 'enhance' wrote with the last --output.")
    ] = None,
    invented: Annotated[
        str | None, typer.Option(path_type=str, help="Map that 'enhance --invented' wrote with the last --output.")
    ] = None,
    recalibration: Annotated[
        Path | None, typer.Option(help="metrics.json of another case whose factors correct the uncertainty.")
    ] = None,
    mask: Annotated[
        str | None, typer.Option(help="Where to compare: lungs, box, none, or a mask file on the grid of the input.")
    ] = None,
    slices: Annotated[
        str | None,
        typer.Option(help="Slices a:b of the input that were enhanced; default: where the first --output lies."),
    ] = None,
    roi: Annotated[str | None, typer.Option(help="Region z0:z1,y0:y1,x0:x1 that was enhanced.")] = None,
    resample: Annotated[
        bool, typer.Option("--resample", help="The output was made with 'enhance --resample' by the first --model.")
    ] = False,
    protocol: Annotated[
        str,
        typer.Option(
            help="auto (paired-phantom with --truth, else no-truth), paired-micro, kernel-pair, jmi, jmi-code, synth, "
            "isbi."
        ),
    ] = "auto",
    scanner: Annotated[
        Path | None, typer.Option(help="paired-micro.json beside the scan, for --protocol paired-micro.")
    ] = None,
    micro: Annotated[
        str | None, typer.Option(path_type=str, help="Unpaired µCT: for realism, --protocol jmi, synth and isbi.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Model package, or NAME=package: for warnings, --protocol jmi and synth.")
    ] = None,
    pairs_from: Annotated[
        Path | None, typer.Option(help="Run whose network makes the inputs of --protocol synth out of µCT.")
    ] = None,
    patches: Annotated[int | None, typer.Option(help="At most so many patches, for --protocol jmi and synth.")] = None,
    micro_window: Annotated[str | None, typer.Option(help="LOW,HIGH of the µCT; default: the model's.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice of patches.")] = 0,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also write report.pdf, printed by Chromium or Chrome.")] = False,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler; a worker does the work.")] = None,
    voxel_size: Annotated[
        str | None, typer.Option(help="Voxel size Z,Y,X in mm of an --input in TIFF files that do not state it.")
    ] = None,
    micro_voxel_size: Annotated[str | None, typer.Option(help="The same of --micro.")] = None,
    series: Series = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for metrics.json and report.html.")] = None,
    as_json: AsJson = False,
    overwrite: Overwrite = False,
) -> None:
    """Compare enhanced volumes with the truth, where it is known, and with the scan; bicubic is always a row.

    Example: ctloupe evaluate --input clinical.nii.gz --output enhanced.ome.zarr --truth truth.nii.gz -o evaluation
    Example: ctloupe evaluate --input scan/ --output enhanced.ome.zarr --mask lungs --model runs/first/model -o page
    Example: ctloupe evaluate --protocol jmi --micro micro.nii.gz --model runs/first/model
    Example: ctloupe evaluate --protocol synth --micro micro.nii.gz --model runs/first/model --pairs-from runs/synth
    """
    from ctloupe.foundation.threads import calculate_alone, share_the_cores

    share_the_cores()
    calculate_alone()
    from ctloupe.cli.progress import ConsoleProgress, say
    from ctloupe.evaluate.request import EvaluateRequest, evaluate_files

    window = None
    if micro_window is not None:
        low, high = numbers(micro_window, "--micro-window", 2, "0,15000")
        window = low, high
    request = EvaluateRequest(
        input=as_location(input_),
        output=tuple(named_locations(output or [], "--output", "enhanced")),
        other_input=as_location(other_input),
        other_output=tuple(named_locations(other_output or [], "--other-output", "enhanced")),
        truth=as_location(truth),
        labels=as_location(labels),
        uncertainty=as_location(uncertainty),
        invented=as_location(invented),
        recalibration=recalibration,
        mask=mask,
        slices=slices,
        roi=roi,
        resample=resample,
        protocol=protocol,
        scanner=scanner,
        micro=as_location(micro),
        model=tuple(named_paths(model or [], "--model")),
        pairs_from=pairs_from,
        patches=patches,
        micro_window=window,
        seed=seed,
        voxel_size=as_voxel_size(voxel_size),
        micro_voxel_size=as_voxel_size(micro_voxel_size, "--micro-voxel-size"),
        series=series,
        out=out,
        pdf=pdf,
        overwrite=overwrite,
        scheduler=scheduler,
    )
    found, _ = evaluate_files(request, say, ConsoleProgress())
    _print(found, as_json)


def _print(found: Comparison, as_json: bool) -> None:
    from ctloupe.evaluate.report.report import table_of

    if as_json:
        print(json.dumps(found.plain(), indent=2))
        return
    head, rows = table_of(found)
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    show(f"protocol {found.protocol}")
    for row in [head, *rows]:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        show("  ".join(cells))
    for warning in found.facts.get("warnings", []):
        show(f"warning: {as_flags(warning)}")
    print(found.notice)
