"""`ctloupe view`: volumes on each other in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctloupe.cli.options import (
    Overwrite,
    Series,
    VoxelSize,
    as_location,
    as_voxel_size,
    as_window,
    named_locations,
)
from ctloupe.foundation.location import Location, is_url


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("view")(view)


def view(
    volumes: Annotated[
        list[str],
        typer.Argument(metavar="SCAN [MORE ...]", help="The scan, and what lies on it; NAME=PATH names a volume."),
    ],
    uncertainty: Annotated[
        str | None, typer.Option(path_type=str, help="Map of standard deviations to lay over the images.")
    ] = None,
    mask: Annotated[str | None, typer.Option(path_type=str, help="Mask whose edge is drawn over the images.")] = None,
    labels: Annotated[
        str | None, typer.Option(path_type=str, help="Labels to lay over the images, a colour for each.")
    ] = None,
    case: Annotated[str | None, typer.Option(help="Case of a suite whose folder is given; default: its first.")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write one page that works offline (.html), of --roi, and leave.")
    ] = None,
    shot: Annotated[
        Path | None, typer.Option(help="Write a picture (.png) of --roi, without a browser, and leave.")
    ] = None,
    roi: Annotated[
        str | None, typer.Option(help="Region z0:z1,y0:y1,x0:x1 in voxels of the scan, for --export and --shot.")
    ] = None,
    window: Annotated[str | None, typer.Option(help="LOW,HIGH: values that are black and white at first.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the server; 0: any free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host name of a proxy under which the page may be asked for.")
    ] = None,
    series: Series = None,
    voxel_size: VoxelSize = None,
    overwrite: Overwrite = False,
) -> None:
    """Look at a scan and at what was made of it, linked in millimetres; nothing leaves this machine.

    Example: ctloupe view scan/ enhanced.ome.zarr
    Example: ctloupe view scan.nii.gz bicubic=bicubic.nii.gz mean=mean.ome.zarr --uncertainty sigma.ome.zarr
    Example: ctloupe view scan/ enhanced.ome.zarr --shot picture.png --roi 30:31,200:264,180:244
    Example: ctloupe view scan/ enhanced.ome.zarr --export region.html --roi 30:34,200:296,180:276
    Example: ctloupe view leaderboard
    """
    from ctloupe.cli.progress import ConsoleProgress, say
    from ctloupe.viewer.request import ViewRequest

    request = ViewRequest(
        volumes=tuple(_named(volumes)),
        uncertainty=as_location(uncertainty),
        mask=as_location(mask),
        labels=as_location(labels),
        series=series,
        voxel_size=as_voxel_size(voxel_size),
        case=case,
        export=export,
        shot=shot,
        roi=roi,
        window=as_window(window),
        port=port,
        browser=browser,
        hosts=tuple(allow_host or ()),
        overwrite=overwrite,
    )
    if export is not None or shot is not None:
        from ctloupe.viewer.files import write_files

        for path in write_files(request, say, ConsoleProgress()):
            print(path)
        return
    from ctloupe.viewer.session import look

    look(request, say, lambda link: print(link, flush=True), ConsoleProgress())


def _named(texts: list[str]) -> list[tuple[str, Location]]:
    """Names and paths; the first volume is the scan, and its file's name is not shown."""
    found = named_locations(texts, "SCAN")
    alone = "=" not in texts[0] or is_url(texts[0]) or Path(texts[0]).exists()
    return [("scan", found[0][1]), *found[1:]] if alone else found
