"""`ctloupe phantom`: scans with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctloupe.cli.options import Overwrite
from ctloupe.volume.errors import OptionError


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("phantom")(phantom)


def phantom(
    out: Annotated[Path, typer.Option(help="Folder for clinical, micro, truth and labels.")],
    kind: Annotated[str, typer.Option(help="lung.")] = "lung",
    size: Annotated[tuple[int, int, int], typer.Option(help="Voxels z y x of the fine grid.")] = (
        64,
        512,
        512,
    ),
    seed: Annotated[int, typer.Option(help="Of the anatomy and both scanners.")] = 0,
    nodule: Annotated[bool, typer.Option("--nodule", help="Put a nodule in.")] = False,
    cylinder: Annotated[bool, typer.Option("--cylinder", help="µCT specimen in a plastic cylinder.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Make an anatomy and scan it twice, clinically and by µCT.

    Example: ctloupe phantom --kind lung --size 64 512 512 --seed 7 --out phantom
    """
    import json

    from ctloupe.cli.progress import say
    from ctloupe.phantom.phantom import PhantomConfig, make_lung

    if kind != "lung":
        raise OptionError(f"--kind {kind}: expected lung")
    config = PhantomConfig(nodule=nodule, cylinder=cylinder)
    case = make_lung(size, seed, config)
    case.write(out, overwrite=overwrite)
    say(f"wrote clinical, micro, truth and labels to {out}")
    print(json.dumps(case.statistics, indent=2))
