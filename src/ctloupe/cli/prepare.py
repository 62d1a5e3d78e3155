"""`ctloupe prepare`: scans in, masks to check and patch banks to train on out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctloupe.cli.options import Overwrite, Series, VoxelSize, as_voxel_size, numbers
from ctloupe.foundation.errors import OptionError


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("prepare")(prepare)


def prepare(
    clinical: Annotated[
        list[str], typer.Option(path_type=str, help="Clinical CTs: files, or folders of them; may be repeated.")
    ],
    micro: Annotated[list[str], typer.Option(path_type=str, help="µCT volumes, likewise.")],
    out: Annotated[Path, typer.Option(help="Bank folder to make.")],
    scale: Annotated[int, typer.Option(help="In-plane enlargement: 2, 4, 8 or 16.")] = 8,
    patch_size: Annotated[
        int, typer.Option("--patch", help="Side of a clinical patch in pixels; µCT patches are scale times larger.")
    ] = 32,
    per_case: Annotated[int, typer.Option(help="Patches a volume.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice of patches.")] = 0,
    clinical_mask: Annotated[
        str, typer.Option(help="lungs, box, none or a mask file (for a single volume).")
    ] = "lungs",
    micro_mask: Annotated[
        str, typer.Option(help="specimen, box, none or a mask file (for a single volume).")
    ] = "specimen",
    clinical_window: Annotated[
        str, typer.Option(help="LOW,HIGH in HU, zscore:K, or min-max of each volume.")
    ] = "-1000,2500",
    micro_window: Annotated[
        str, typer.Option(help="LOW,HIGH in raw units, percentiles as 1%,99%, zscore:K, or min-max of each volume.")
    ] = "0,15000",
    stride: Annotated[
        int | None, typer.Option(help="Patches on a grid of so many µCT pixels instead of at random.")
    ] = None,
    no_thick: Annotated[
        bool,
        typer.Option("--no-thick", help="Do not keep µCT patches averaged over the clinical slice thickness as well."),
    ] = False,
    neighbours: Annotated[
        bool,
        typer.Option("--neighbours", help="Keep the slices below and above each patch too, for methods that ask."),
    ] = False,
    resample: Annotated[
        list[str] | None,
        typer.Option(
            help="clinical=Y,X or micro=Y,X: in-plane spacing in mm to bring these volumes to; once for each."
        ),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(help="Processes that share the volumes; default: as cores and memory allow.")
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler; its workers do the work.")] = None,
    voxel_size: VoxelSize = None,
    series: Series = None,
    overwrite: Overwrite = False,
) -> None:
    """Mask the scans, cut patches and save them with their provenance; look at the overlays before training.

    Example: ctloupe prepare --clinical clinical/ --micro micro/ --out bank
    """
    from ctloupe.cli.progress import ConsoleProgress, say, show
    from ctloupe.foundation.location import location
    from ctloupe.prepare.banks import BankRequest, prepare_banks, window_request

    request = BankRequest(
        clinical=tuple(location(one) for one in clinical),
        micro=tuple(location(one) for one in micro),
        scale=scale,
        patch_size=patch_size,
        per_case=per_case,
        seed=seed,
        clinical_mask=clinical_mask,
        micro_mask=micro_mask,
        clinical_window=window_request(clinical_window, "clinical_window"),
        micro_window=window_request(micro_window, "micro_window"),
        **_spacings(resample or []),
        voxel_size=as_voxel_size(voxel_size),
        series=series,
        stride=stride,
        slice_averages=not no_thick,
        neighbours=neighbours,
        processes=processes,
        scheduler=scheduler,
    )
    prepare_banks(request, out, say, overwrite, ConsoleProgress())
    say(f"wrote {out}; look at the mask overlays in {out / 'overlays'} before training")
    show(str(out))


def _spacings(texts: list[str]) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for text in texts:
        modality, _, sizes = text.partition("=")
        key = f"{modality}_spacing"
        if modality not in ("clinical", "micro") or key in found:
            raise OptionError(f"`resample` {text}: expected clinical=Y,X and micro=Y,X, each once at most")
        y, x = numbers(sizes, "--resample", 2, "micro=0.05,0.05")
        found[key] = (y, x)
    return found
