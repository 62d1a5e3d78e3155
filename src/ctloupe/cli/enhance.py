"""`ctloupe enhance`: a scan in, an enhanced volume out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ctloupe.cli.options import Overwrite, Series, VoxelSize, as_voxel_size
from ctloupe.volume.errors import GeometryError, OptionError


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("enhance")(enhance)


def enhance(
    scan: Annotated[Path, typer.Argument(metavar="INPUT", help="Clinical CT in HU.")],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="Output; the suffix says the format (.ome.zarr, .nii.gz, .mha …)."),
    ],
    model: Annotated[str, typer.Option(help="Folder of a model package; or bicubic, nearest, lanczos.")],
    scale: Annotated[int | None, typer.Option(help="In-plane enlargement; a model knows its own.")] = None,
    mask: Annotated[str, typer.Option(help="auto (lungs), none, or a mask file on the scan's grid.")] = "auto",
    slices: Annotated[str | None, typer.Option(help="Slices a:b to enhance.")] = None,
    roi: Annotated[str | None, typer.Option(help="Region z0:z1,y0:y1,x0:x1 in voxels.")] = None,
    resample: Annotated[bool, typer.Option("--resample", help="Bring the scan to the model's spacing first.")] = False,
    accept_spacing: Annotated[bool, typer.Option("--accept-spacing", help="Use the model at another spacing.")] = False,
    stitch: Annotated[
        str,
        typer.Option(help="calibrated; or, for comparison, slice (own statistics) or patches (as in the papers)."),
    ] = "calibrated",
    match_histograms: Annotated[
        bool,
        typer.Option("--match-histograms", help="With --stitch patches: each patch gets the histogram of its input."),
    ] = False,
    median: Annotated[int, typer.Option(help="With --stitch patches: median filter of so many pixels (odd).")] = 1,
    samples: Annotated[
        int, typer.Option(help="Passes with dropout to average, for models that have it; also writes an uncertainty.")
    ] = 0,
    uncertainty: Annotated[
        Path | None,
        typer.Option(help="Where the uncertainty goes; default: the output's name with -uncertainty."),
    ] = None,
    series: Series = None,
    voxel_size: VoxelSize = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of the sample that normalisation statistics are taken from.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Enhance a clinical CT in-plane; outside the mask the result is its bicubic interpolation.

    Example: ctloupe enhance scan/ -o enhanced.ome.zarr --model runs/first/model
    Example: ctloupe enhance scan.nii.gz -o mean.nii.gz --model runs/bayes/model --samples 16
    Example: ctloupe enhance scan.nii.gz -o bicubic.nii.gz --model bicubic --scale 8 --mask none
    """
    from dataclasses import replace

    from ctloupe.cli.progress import ConsoleProgress, say
    from ctloupe.enhance.region import parse_region
    from ctloupe.enhance.resolver import STATISTICS, load_model
    from ctloupe.enhance.spacing import require_spacing, resample_in_plane
    from ctloupe.train.engine import resolve_accelerator
    from ctloupe.volume.atomic import full_suffix
    from ctloupe.volume.formats import read, require_writable

    if stitch not in STATISTICS:
        raise OptionError(f"--stitch {stitch}: expected one of {', '.join(STATISTICS)}")
    if resample and accept_spacing:
        raise OptionError("--resample and --accept-spacing exclude each other")
    if samples < 0 or (uncertainty is not None and not samples):
        raise OptionError("--samples must not be negative, and --uncertainty needs --samples")
    if samples and uncertainty is None:
        suffix = full_suffix(out)
        uncertainty = out.with_name(f"{out.name.removesuffix(suffix)}-uncertainty{suffix}")
    for path in (out, uncertainty):
        if path is not None:
            require_writable(path, overwrite)
    resolver = replace(
        load_model(model, scale, resolve_accelerator(accelerator)),
        statistics=stitch,
        seed=seed,
        samples=samples,
        match_histograms=match_histograms,
        median=median,
    )
    volume = read(scan, series=series, voxel_size=as_voxel_size(voxel_size))
    given = _mask_file(mask, volume)
    if resolver.trained_spacing is not None and not accept_spacing:
        if resample:
            if given is not None:
                raise OptionError(
                    "--mask FILE is on the scan's own grid and cannot go with --resample; use --mask auto"
                )
            volume = resample_in_plane(volume, resolver.trained_spacing)
        require_spacing(volume, resolver.trained_spacing, model)
    region = parse_region(volume.shape, slices, roi)
    if mask == "auto" and resolver.trained_spacing is not None:
        from ctloupe.prepare.lungs import lung_mask

        say("finding the lungs")
        given = lung_mask(volume)
        say(f"lungs: {100 * given.mean():.1f}% of the scan")
    progress = ConsoleProgress()
    progress.start("enhancing", region[0].stop - region[0].start)
    try:
        resolver.enhance_to(volume, out, given, region, progress.update, overwrite, uncertainty)
    finally:
        progress.close()
    say(f"wrote {out}" + (f" and {uncertainty}" if uncertainty else ""))
    print(out)


def _mask_file(mask: str, volume: Any) -> Any:
    import numpy as np

    from ctloupe.volume.formats import read

    if mask in ("auto", "none"):
        return None
    found = read(Path(mask))
    if found.shape != volume.shape or not np.allclose(found.affine, volume.affine, atol=1e-3):
        raise GeometryError(
            f"--mask {mask}: shape {found.shape} and position are not those of the scan {volume.shape}; "
            "make the mask on the scan's grid"
        )
    return found.array() != 0
