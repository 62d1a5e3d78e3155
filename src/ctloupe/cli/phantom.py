"""`ctloupe phantom`: scans with known truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ctloupe.cli.assignments import assigned
from ctloupe.cli.options import Overwrite, VoxelSize, as_voxel_size, numbers
from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomies.registry import BUILT_IN, DEFAULT, get, names

_USUAL_SIZE = (64, 512, 512)
Number = TypeVar("Number", int, float)


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("phantom")(phantom)


def phantom(
    out: Annotated[Path, typer.Option(help="Folder for clinical, micro, truth and labels.")],
    kind: Annotated[
        str, typer.Option(help=f"Anatomy: {', '.join(BUILT_IN)}, or one of an installed package.")
    ] = DEFAULT,
    size: Annotated[
        tuple[int, int, int] | None, typer.Option(help="Voxels z y x of the fine grid; default: 64 512 512.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the anatomy and both scanners.")] = 0,
    nodule: Annotated[bool, typer.Option("--nodule", help="Put a nodule in; the same as --set nodule=true.")] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value of the options that only this anatomy has; may be repeated."),
    ] = None,
    cylinder: Annotated[bool, typer.Option("--cylinder", help="µCT specimen in a plastic cylinder.")] = False,
    kernel: Annotated[
        str, typer.Option(help="Kernel of the clinical scanner: smooth, standard or sharp.")
    ] = "standard",
    noise_hu: Annotated[
        float | None,
        typer.Option("--noise", help="Noise of the clinical scanner in HU; default: usual for the anatomy."),
    ] = None,
    scanner: Annotated[
        list[str] | None,
        typer.Option(
            help="What the clinical scanner differs by from the usual ones: ringing, wide-body or streaks, motion or "
            "double-edge; may be repeated."
        ),
    ] = None,
    from_micro: Annotated[
        Path | None,
        typer.Option(help="A real µCT instead of an anatomy: it is the truth, and a scanner drawn by --seed scans it."),
    ] = None,
    scale: Annotated[int, typer.Option(help="With --from-micro: fine voxels a clinical voxel in y and x.")] = 8,
    slices: Annotated[int, typer.Option(help="With --from-micro: fine slices a clinical slice.")] = 8,
    planes: Annotated[
        str | None, typer.Option(help="With --from-micro: slices FIRST,END of the µCT, such as no training has seen.")
    ] = None,
    micro_window: Annotated[
        str | None,
        typer.Option(help="With --from-micro: LOW,HIGH of the µCT that become --hu; default: percentiles 1 and 99."),
    ] = None,
    hu: Annotated[str, typer.Option(help="With --from-micro: HU that the µCT's LOW,HIGH become.")] = "-1000,500",
    voxel_size: VoxelSize = None,
    overwrite: Overwrite = False,
) -> None:
    """Make an anatomy and scan it twice, clinically and by µCT.

    Example: ctloupe phantom --kind lung --size 64 512 512 --seed 7 --out phantom
    Example: ctloupe phantom --kind lung-b --seed 7 --set holes=6 --out second
    Example: ctloupe phantom --kind temporal-bone --size 64 512 512 --seed 7 --kernel sharp --out ear
    Example: ctloupe phantom --kind lung --seed 7 --scanner ringing --scanner streaks --out other
    Example: ctloupe phantom --from-micro specimen.nii.gz --seed 3 --scale 8 --out pair
    """
    import json

    from ctloupe.cli.progress import ConsoleProgress, say
    from ctloupe.foundation.progress import shown_on

    if from_micro is not None:
        own = (overrides, nodule, cylinder, noise_hu is not None, kernel != "standard", scanner, kind != DEFAULT, size)
        if any(own):
            raise OptionError(
                "--from-micro takes a µCT and draws the scanner: leave --size and the options of an anatomy out"
            )
        from ctloupe.phantom.paired_micro import PairedMicroRequest, pair_micro

        request = PairedMicroRequest(
            from_micro,
            seed,
            scale,
            slices,
            _pair(planes, "--planes", "0,64", int),
            _pair(micro_window, "--micro-window", "0,255", float),
            _pair(hu, "--hu", "-1000,500", float) or PairedMicroRequest.hu,
            as_voxel_size(voxel_size),
            out,
        )
        with shown_on(ConsoleProgress()):
            pair = pair_micro(request)
            pair.write(out, overwrite=overwrite)
        say(f"wrote clinical, truth and paired-micro.json to {out}")
        print(json.dumps(pair.record["scanner"], indent=2))
        return
    from ctloupe.phantom.phantom import make_phantom

    if kind not in names():
        raise OptionError(f"--kind {kind}: expected one of {', '.join(names())}")
    usual = get(kind).usual
    options = assigned(overrides or [], "nodule=true") | ({"nodule": True} if nodule else {})
    amount = usual.noise_hu if noise_hu is None else noise_hu
    config = replace(
        usual, options=options, cylinder=cylinder, kernel=kernel, noise_hu=amount, scanner=tuple(scanner or ())
    )
    with shown_on(ConsoleProgress()):
        case = make_phantom(kind, size or _USUAL_SIZE, seed, config)
        case.write(out, overwrite=overwrite)
    say(f"wrote clinical, micro, truth and labels to {out}")
    print(json.dumps(case.statistics, indent=2))


def _pair(text: str | None, option: str, example: str, kind: Callable[[float], Number]) -> tuple[Number, Number] | None:
    if text is None:
        return None
    low, high = numbers(text, option, 2, example)
    return kind(low), kind(high)
