"""`ctloupe enhance`: a scan in, an enhanced volume out; or a folder of scans."""

from __future__ import annotations

from typing import Annotated

import typer

from ctloupe.cli.options import Overwrite, Series, VoxelSize, as_bytes, as_location, as_quantiles, as_voxel_size
from ctloupe.models.default import DEFAULT


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("enhance")(enhance)


def enhance(
    scan: Annotated[
        str,
        typer.Argument(metavar="INPUT", path_type=str, help="Clinical CT in HU, or a folder of several; or s3://… ."),
    ],
    out: Annotated[
        str,
        typer.Option(
            "-o",
            "--out",
            path_type=str,
            help="Output; the suffix says the format (.ome.zarr, .nii.gz, .mha, .dicom …). Of a folder: a folder.",
        ),
    ],
    model: Annotated[
        str, typer.Option(help="Name of a model, its folder or its file *.ctloupe; or bicubic, nearest, lanczos.")
    ] = DEFAULT,
    scale: Annotated[int | None, typer.Option(help="In-plane enlargement; a model knows its own.")] = None,
    mask: Annotated[str, typer.Option(help="auto (as trained), lungs, box, none, or a mask file.")] = "auto",
    blend: Annotated[float, typer.Option(help="Width in mm of the transition at the mask's border; 0: none.")] = 2.0,
    slices: Annotated[str | None, typer.Option(help="Slices a:b to enhance.")] = None,
    roi: Annotated[str | None, typer.Option(help="Region z0:z1,y0:y1,x0:x1 in voxels.")] = None,
    resample: Annotated[bool, typer.Option("--resample", help="Bring the scan to the model's spacing first.")] = False,
    accept_spacing: Annotated[bool, typer.Option("--accept-spacing", help="Use the model at another spacing.")] = False,
    stitch: Annotated[
        str,
        typer.Option(help="calibrated; or, for comparison, slice (own statistics) or patches (as in the papers)."),
    ] = "calibrated",
    stitch_size: Annotated[
        int | None, typer.Option(help="With --stitch patches: side of a patch; larger than in training, fewer seams.")
    ] = None,
    match_histograms: Annotated[
        bool,
        typer.Option("--match-histograms", help="With --stitch patches: each patch gets the histogram of its input."),
    ] = False,
    median: Annotated[int, typer.Option(help="With --stitch patches: median filter of so many pixels (odd).")] = 1,
    samples: Annotated[
        int,
        typer.Option(help="Passes with dropout to average, or samples of physics-flow; also writes their deviation."),
    ] = 0,
    output: Annotated[str, typer.Option(help="What physics-flow gives: mean, or sample (that of --seed).")] = "mean",
    steps: Annotated[
        int | None,
        typer.Option(help="Steps in which a flow goes to a sample (4), where its texture is not drawn at once."),
    ] = None,
    uncertainty: Annotated[
        str | None,
        typer.Option(
            path_type=str,
            help="Where σ in HU goes: of --samples, or without them the one that physics-flow has learnt.",
        ),
    ] = None,
    invented: Annotated[
        str | None,
        typer.Option(path_type=str, help="Where the map of what the prior invents goes, 0 to 1 (physics-flow)."),
    ] = None,
    quantiles: Annotated[
        str | None,
        typer.Option(help="With --samples of physics-flow: their quantiles beside the output, for instance 0.1,0.9."),
    ] = None,
    flat_field: Annotated[
        str, typer.Option(help="Take off the mesh that a network draws into flat images: on, off, or auto (flows).")
    ] = "auto",
    consistent: Annotated[
        bool, typer.Option("--consistent", help="Correct the result so that it agrees with the scan.")
    ] = False,
    consistent_with: Annotated[
        str,
        typer.Option(help="How: blocks (block means equal the scan), scanner (rescanned, up to noise), plane (thin)."),
    ] = "blocks",
    resume: Annotated[bool, typer.Option("--resume", help="Continue what was interrupted (OME-Zarr).")] = False,
    slab: Annotated[int, typer.Option(help="Slices read, enhanced and recorded together.")] = 4,
    tile: Annotated[int | None, typer.Option(help="Side of a tile in scan voxels; default: by memory.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory to use, for instance 2GB; default: what fits.")] = None,
    precision: Annotated[str, typer.Option(help="auto (bf16 where the hardware has it), bf16 or float32.")] = "auto",
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler; its workers do the work.")] = None,
    devices: Annotated[int, typer.Option(help="Devices of this machine, each with a process of its own.")] = 1,
    format_: Annotated[str, typer.Option("--format", help="Suffix of a folder's outputs.")] = ".ome.zarr",
    series: Series = None,
    voxel_size: VoxelSize = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Seed of calibration, dropout and samples.")] = 0,
    preview: Annotated[bool, typer.Option(help="Write a picture of a telling place beside the output.")] = True,
    overwrite: Overwrite = False,
) -> None:
    """Enhance a clinical CT in-plane; outside the mask the result is its bicubic interpolation.

    Example: ctloupe enhance scan/ -o enhanced.ome.zarr
    Example: ctloupe enhance scan/ -o enhanced.ome.zarr --model runs/first/model
    Example: ctloupe enhance scan/ -o enhanced.dicom --model runs/first/model --consistent
    Example: ctloupe enhance scan.nii.gz -o mean.nii.gz --model runs/bayes/model --samples 16
    Example: ctloupe enhance scan.nii.gz -o mean.ome.zarr --model runs/flow/model --uncertainty sigma.ome.zarr
    Example: ctloupe enhance scan.nii.gz -o bicubic.nii.gz --model bicubic --scale 8 --mask none
    """
    from ctloupe.foundation.importing import importing
    from ctloupe.foundation.threads import share_the_cores

    share_the_cores()
    with importing():
        from ctloupe.enhance.early import refuse_early
        from ctloupe.foundation.location import location

    outputs = [location(path) for path in (out, uncertainty, invented) if path is not None]
    refuse_early(location(scan), outputs, model, resume, overwrite)
    with importing():
        from ctloupe.enhance.ahead import scan_ahead
        from ctloupe.enhance.store.server import start_early, workers_ready

    if devices > 1:
        start_early()
    size = as_voxel_size(voxel_size)
    # Workers import the large libraries while this process does, and lungs are found beside.
    with workers_ready(scheduler), scan_ahead(location(scan), series, size, mask, model) as ahead:
        with importing():
            from ctloupe.cli.progress import ConsoleProgress, say, show
            from ctloupe.enhance.request import EnhanceRequest, enhance_files

        request = EnhanceRequest(
            scan=location(scan),
            out=location(out),
            model=model,
            scale=scale,
            mask=mask,
            blend=blend,
            slices=slices,
            roi=roi,
            resample=resample,
            accept_spacing=accept_spacing,
            stitch=stitch,
            stitch_size=stitch_size,
            match_histograms=match_histograms,
            median=median,
            samples=samples,
            output=output,
            steps=steps,
            uncertainty=as_location(uncertainty),
            invented=as_location(invented),
            quantiles=as_quantiles(quantiles),
            flat_field=flat_field,
            consistent=consistent,
            consistent_with=consistent_with,
            resume=resume,
            slab=slab,
            tile=tile,
            memory=as_bytes(memory, "--memory"),
            precision=precision,
            scheduler=scheduler,
            devices=devices,
            format=format_,
            series=series,
            voxel_size=size,
            accelerator=accelerator,
            seed=seed,
            preview=preview,
            overwrite=overwrite,
        )
        enhance_files(request, say, ConsoleProgress(), show, ahead)
