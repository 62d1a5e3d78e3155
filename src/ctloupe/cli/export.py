"""`ctloupe export`: a trained model as a file that other programs run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctloupe.cli.options import Overwrite, Series, VoxelSize, as_voxel_size


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("export")(export)


def export(
    model: Annotated[Path, typer.Argument(help="Folder of a model package.")],
    to: Annotated[
        str, typer.Option(help="onnx, torchscript, monai-bundle, openvino, or statistics (those of --scan).")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file, or the folder of a bundle.")],
    scan: Annotated[
        Path | None,
        typer.Option(
            help="Scan that the file is calibrated to, and is for alone; without it what the network is told of a "
            "scan are inputs of the file, which serves every scan."
        ),
    ] = None,
    mask: Annotated[
        str, typer.Option(help="Where the scan's statistics are taken: auto, lungs, box, none, or a mask file.")
    ] = "auto",
    flat_field: Annotated[
        str, typer.Option(help="Take off the mesh that a network draws into flat images: on, off, or auto (flows).")
    ] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the calibration.")] = 0,
    accept_spacing: Annotated[
        bool, typer.Option("--accept-spacing", help="Go on with a scan of another voxel size than the training's.")
    ] = False,
    series: Series = None,
    voxel_size: VoxelSize = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a trained model as a file that runs without this package: HU in, HU out, slices of any size.

    Example: ctloupe export runs/first/model --to onnx -o model.onnx
    Example: ctloupe export runs/first/model --to statistics --scan scan.nii.gz -o scan.npz
    Example: ctloupe export runs/first/model --to torchscript --scan scan.nii.gz -o this-scan.ts
    """
    from ctloupe.cli.progress import say, show
    from ctloupe.export.request import ExportRequest, export_model

    request = ExportRequest(
        model=model,
        to=to,
        out=out,
        scan=scan,
        mask=mask,
        flat_field=flat_field,
        seed=seed,
        accept_spacing=accept_spacing,
        series=series,
        voxel_size=as_voxel_size(voxel_size),
        overwrite=overwrite,
    )
    show(str(export_model(request, say)))
