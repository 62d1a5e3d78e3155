"""`ctloupe phantom`: scans with known truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ctloupe.cli.assignments import assigned
from ctloupe.cli.options import Overwrite
from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomies.registry import BUILT_IN, DEFAULT, get, names


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("phantom")(phantom)


def phantom(
    out: Annotated[Path, typer.Option(help="Folder for clinical, micro, truth and labels.")],
    kind: Annotated[
        str, typer.Option(help=f"Anatomy: {', '.join(BUILT_IN)}, or one of an installed package.")
    ] = DEFAULT,
    size: Annotated[tuple[int, int, int], typer.Option(help="Voxels z y x of the fine grid.")] = (
        64,
        512,
        512,
    ),
    seed: Annotated[int, typer.Option(help="Seed of the anatomy and both scanners.")] = 0,
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
    overwrite: Overwrite = False,
) -> None:
    """Make an anatomy and scan it twice, clinically and by µCT.

    Example: ctloupe phantom --kind lung --size 64 512 512 --seed 7 --out phantom
    Example: ctloupe phantom --kind lung-b --seed 7 --set holes=6 --out second
    Example: ctloupe phantom --kind temporal-bone --size 64 512 512 --seed 7 --kernel sharp --out ear
    """
    import json

    from ctloupe.cli.progress import say
    from ctloupe.phantom.phantom import make_phantom

    if kind not in names():
        raise OptionError(f"--kind {kind}: expected one of {', '.join(names())}")
    usual = get(kind).usual
    own = assigned(overrides or [], "nodule=true") | ({"nodule": True} if nodule else {})
    amount = usual.noise_hu if noise_hu is None else noise_hu
    config = replace(usual, options=own, cylinder=cylinder, kernel=kernel, noise_hu=amount)
    case = make_phantom(kind, size, seed, config)
    case.write(out, overwrite=overwrite)
    say(f"wrote clinical, micro, truth and labels to {out}")
    print(json.dumps(case.statistics, indent=2))
