"""`ctloupe enhance`: a scan in, an enhanced volume out; or a folder of scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctloupe.cli.options import (
    Overwrite,
    Series,
    VoxelSize,
    as_bytes,
    as_voxel_size,
    detect_folder,
    volume_paths,
    without_suffix,
)
from ctloupe.foundation.errors import CtLoupeError, OptionError

if TYPE_CHECKING:
    from ctloupe.enhance.resolver import SuperResolver
    from ctloupe.volume.volume import Volume


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("enhance")(enhance)


def enhance(
    scan: Annotated[Path, typer.Argument(metavar="INPUT", help="Clinical CT in HU, or a folder of several.")],
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            help="Output; the suffix says the format (.ome.zarr, .nii.gz, .mha, .dicom …). Of a folder: a folder.",
        ),
    ],
    model: Annotated[str, typer.Option(help="Folder of a model package; or bicubic, nearest, lanczos.")],
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
    consistent: Annotated[
        bool, typer.Option("--consistent", help="Correct the result so that its block means equal the scan.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue what was interrupted (OME-Zarr).")] = False,
    slab: Annotated[int, typer.Option(help="Slices read, enhanced and recorded together.")] = 4,
    tile: Annotated[int | None, typer.Option(help="Side of a tile in scan voxels; default: by memory.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory to use, for instance 2GB; default: what fits.")] = None,
    precision: Annotated[str, typer.Option(help="auto (bf16 where the hardware has it), bf16 or float32.")] = "auto",
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler; its workers do the work.")] = None,
    output_format: Annotated[str, typer.Option("--format", help="Of a folder's outputs: their suffix.")] = ".ome.zarr",
    series: Series = None,
    voxel_size: VoxelSize = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of the sample that normalisation statistics are taken from.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Enhance a clinical CT in-plane; outside the mask the result is its bicubic interpolation.

    Example: ctloupe enhance scan/ -o enhanced.ome.zarr --model runs/first/model
    Example: ctloupe enhance scan/ -o enhanced.dicom --model runs/first/model --consistent
    Example: ctloupe enhance scan.nii.gz -o mean.nii.gz --model runs/bayes/model --samples 16
    Example: ctloupe enhance scan.nii.gz -o bicubic.nii.gz --model bicubic --scale 8 --mask none
    """
    from ctloupe.enhance.exact import EngineOptions
    from ctloupe.enhance.resolver import STATISTICS, load_model
    from ctloupe.train.fabric import resolve_accelerator

    if stitch not in STATISTICS:
        raise OptionError(f"--stitch {stitch}: expected one of {', '.join(STATISTICS)}")
    if precision not in ("auto", "bf16", "float32"):
        raise OptionError(f"--precision {precision}: expected auto, bf16 or float32")
    if resample and accept_spacing:
        raise OptionError("--resample and --accept-spacing exclude each other")
    if samples < 0 or (uncertainty is not None and not samples):
        raise OptionError("--samples must not be negative, and --uncertainty needs --samples")
    if tile is not None and tile < 8:
        raise OptionError(f"--tile {tile}: expected at least 8 voxels")
    how = _How(
        mask, slices, roi, resample, accept_spacing, resume, slab, scheduler, model, series, voxel_size, overwrite
    )
    several = scan.is_dir() and detect_folder(scan) is None
    paths = volume_paths([scan]) if several else [scan]
    outputs = [out / f"{without_suffix(path)}{output_format}" for path in paths] if several else [out]
    if not several:
        how.check(out, _beside(out, uncertainty) if samples else None)
    resolver = replace(
        load_model(model, scale, resolve_accelerator(accelerator)),
        statistics=stitch,
        seed=seed,
        samples=samples,
        match_histograms=match_histograms,
        median=median,
        consistent=consistent,
        blend=blend,
        options=EngineOptions(precision, tile, as_bytes(memory, "--memory")),
    )
    if not several:
        how.one(resolver, scan, out, _beside(out, uncertainty) if samples else None)
        print(out)
        return
    _cohort(
        paths, lambda path, output: how.one(resolver, path, output, _beside(output, None) if samples else None), outputs
    )


@dataclass(frozen=True)
class _How:
    """What the options say, for one volume or for each of several."""

    mask: str
    slices: str | None
    roi: str | None
    resample: bool
    accept_spacing: bool
    resume: bool
    slab: int
    scheduler: str | None
    model: str
    series: str | None
    voxel_size: str | None
    overwrite: bool

    def check(self, *outputs: Path | None) -> None:
        """Refuse now what could not be written in the end."""
        from ctloupe.volume.formats import require_writable

        for path in outputs:
            if path is not None and not self.resume:
                require_writable(path, self.overwrite)

    def one(self, resolver: SuperResolver, scan: Path, out: Path, uncertainty: Path | None) -> None:
        """Enhance one volume."""
        from ctloupe.cli.progress import ConsoleProgress, say
        from ctloupe.enhance.region import parse_region
        from ctloupe.enhance.where import blends_outside, mask_to_enhance, resolved_mask
        from ctloupe.prepare.masks import kind_of
        from ctloupe.volume.formats import read, source_files

        volume = read(scan, series=self.series, voxel_size=as_voxel_size(self.voxel_size))
        asked = resolved_mask(self.mask, resolver.trained_mask)
        volume = self._fitted(resolver, volume, kind_of(asked) == "file")
        region = parse_region(volume.shape, self.slices, self.roi)
        if asked != "none":
            say(f"mask: {asked}")
        given = mask_to_enhance(asked, volume)
        resolver = replace(resolver, blend_outside=blends_outside(asked))
        if given is not None:
            say(f"mask: {100 * given.mean():.1f}% of the scan are enhanced")
        progress = ConsoleProgress()
        progress.start("enhancing", region[0].stop - region[0].start)
        try:
            summary = resolver.enhance_to(
                volume,
                out,
                given,
                region,
                progress.update,
                self.overwrite,
                uncertainty,
                resume=self.resume,
                slab=self.slab,
                scheduler=self.scheduler,
                source=source_files(scan, out, self.series),
                tell=say,
            )
        finally:
            progress.close()
        for line in summary.lines():
            say(line)
        if not summary.found_finished:
            say(f"wrote {out}" + (f" and {uncertainty}" if uncertainty else ""))

    def _fitted(self, resolver: SuperResolver, volume: Volume, has_mask: bool) -> Volume:
        from ctloupe.enhance.spacing import require_spacing, resample_in_plane

        if resolver.trained_spacing is None or self.accept_spacing:
            return volume
        if self.resample:
            if has_mask:
                raise OptionError(
                    "--mask FILE is on the scan's own grid and cannot go with --resample; use --mask lungs"
                )
            volume = resample_in_plane(volume, resolver.trained_spacing)
        require_spacing(volume, resolver.trained_spacing, self.model)
        return volume


def _cohort(paths: list[Path], enhance_one: Callable[[Path, Path], None], outputs: list[Path]) -> None:
    """Work through many volumes; what fails is told at the end and does not stop the others."""
    from ctloupe.cli.progress import say

    failed: list[str] = []
    for at, (path, output) in enumerate(zip(paths, outputs, strict=True), 1):
        try:
            enhance_one(path, output)
        except CtLoupeError as error:
            failed.append(str(error))
            print(f"{at}/{len(paths)} {path.name}: failed", flush=True)
        else:
            print(f"{at}/{len(paths)} {path.name}: {output}", flush=True)
    for line in failed:
        say(f"failed: {line}")
    if failed:
        raise OptionError(f"{len(failed)} of {len(paths)} volumes failed; see above, then go on with --resume")


def _beside(out: Path, uncertainty: Path | None) -> Path:
    from ctloupe.foundation.atomic import full_suffix

    suffix = full_suffix(out)
    return uncertainty or out.with_name(f"{out.name.removesuffix(suffix)}-uncertainty{suffix}")
